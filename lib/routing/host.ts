/** A host without its port, in lower case and without the dot at the end: `API.faf.example.:8000` is `api.faf.example`. */
export function hostName(field: string): string {
  const end = field.startsWith('[') ? field.indexOf(']') + 1 : field.indexOf(':');
  const name = (end > 0 ? field.slice(0, end) : field).toLowerCase();
  return name.endsWith('.') ? name.slice(0, -1) : name;
}

/** The trees of routes by host. Made in full before it is asked. */
export class HostTrees<Tree> {
  readonly #make: () => Tree;
  readonly #exact = new Map<string, Tree>();
  /** By what stands behind the `*`: `.faf.example`. */
  readonly #below = new Map<string, Tree>();
  #any: Tree | undefined;
  /** How many dots the longest name behind a `*` has: no client's host is looked at beyond that. */
  #mostDots = 0;

  constructor(make: () => Tree) {
    this.#make = make;
  }

  /** Whether any route asks for a host. */
  get isUsed(): boolean {
    return this.#exact.size > 0 || this.#below.size > 0;
  }

  /** The tree of a host, `*.` and a host, or `undefined`, which is all hosts; begun where there is none yet. */
  ensure(host: string | undefined): Tree {
    if (host === undefined) {
      this.#any ??= this.#make();
      return this.#any;
    }
    const trees = host.startsWith('*.') ? this.#below : this.#exact;
    const key = hostName(host.startsWith('*.') ? host.slice(1) : host);
    if (trees === this.#below) this.#mostDots = Math.max(this.#mostDots, key.split('.').length - 1);
    const tree = trees.get(key) ?? this.#make();
    trees.set(key, tree);
    return tree;
  }

  /** The tree of the routes that ask for no host. */
  get any(): Tree | undefined {
    return this.#any;
  }

  /** The trees for a host, the most specific first. */
  treesOf(host: string): Tree[] {
    const below: Tree[] = [];
    let dot = host.length;
    for (let dots = 0; dots < this.#mostDots; dots += 1) {
      dot = host.lastIndexOf('.', dot - 1);
      // The `*` stands for at least one character.
      if (dot <= 0) break;
      const tree = this.#below.get(host.slice(dot));
      if (tree !== undefined) below.unshift(tree);
    }
    const exact = this.#exact.get(host);
    const any = this.#any;
    return [...(exact === undefined ? [] : [exact]), ...below, ...(any === undefined ? [] : [any])];
  }
}
