import type { Remembered, ResponseStore } from '../store.ts';
import { Combined, enoughToAsk, resolvedOf } from './copies.ts';

/** The part of the store that is on one node. */
export interface ResponseShard extends ResponseStore {
  /** Why the node is away; undefined when it is not. */
  readonly awayBecause: Error | undefined;
  peek(key: string): Remembered<Buffer | undefined> | undefined;
}

const ABSENT: Remembered<undefined> = { value: undefined };

/**
 * One small value of which every node has a copy. Copies may differ because a node was away: then the greatest counts,
 * compared byte by byte. So each new value must be greater than the one before. One node may be away.
 */
export class NewestCopy {
  readonly #key: string;
  readonly #nodes: readonly ResponseShard[];
  readonly #enough: number;
  readonly #newest = new Combined<Buffer | undefined, Remembered<Buffer | undefined>>((copies) => {
    const value = newestOf(copies);
    return value === undefined ? ABSENT : { value };
  });

  constructor(key: string, nodes: readonly ResponseShard[]) {
    this.#key = key;
    this.#nodes = nodes;
    this.#enough = enoughToAsk(nodes.length);
  }

  peek(): Remembered<Buffer | undefined> | undefined {
    const copies: (Buffer | undefined)[] = [];
    for (const node of this.#nodes) {
      if (node.awayBecause) continue;
      const known = node.peek(this.#key);
      if (known === undefined) return undefined;
      copies.push(known.value);
    }
    return copies.length >= this.#enough ? this.#newest.of(copies) : undefined;
  }

  async get(): Promise<Buffer | undefined> {
    const copies = await resolvedOf(
      this.#nodes.map((node) => node.get(this.#key)),
      this.#enough,
    );
    return this.#newest.of(copies).value;
  }

  /** The store's `swap`. The first node that responds decides between two who write at the same time. */
  async swap(expected: Buffer | undefined, value: string, ttlMs: number): Promise<Buffer> {
    const next = Buffer.from(value);
    const read = this.#nodes.map(async (node) => ({ node, copy: await node.get(this.#key) }));
    const [first, ...others] = await resolvedOf(read, this.#enough);
    const present = newestOf([first, ...others].map((each) => each?.copy));
    if (present && !expected?.equals(present)) return present;
    if (!first) return next;
    const inForce = await first.node.swap(this.#key, first.copy, value, ttlMs);
    if (!inForce.equals(next)) return inForce;
    // The first node has the value already.
    await resolvedOf(
      others.map(({ node }) => this.#raise(node, next, ttlMs)),
      this.#enough - 1,
    );
    return next;
  }

  /** Sets the node's copy unless it is newer. */
  async #raise(node: ResponseShard, next: Buffer, ttlMs: number): Promise<void> {
    let copy = await node.get(this.#key);
    while (copy === undefined || Buffer.compare(copy, next) < 0) {
      copy = await node.swap(this.#key, copy, next.toString(), ttlMs);
    }
  }
}

function newestOf(copies: readonly (Buffer | undefined)[]): Buffer | undefined {
  return copies.reduce((newest, copy) => {
    if (newest === undefined || copy === undefined) return newest ?? copy;
    return Buffer.compare(copy, newest) > 0 ? copy : newest;
  }, undefined);
}
