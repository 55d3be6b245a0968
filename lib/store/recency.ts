/** One value, and when it expires. */
export interface Kept<V> {
  readonly key: string;
  readonly value: V;
  /** By the clock's `ticks`. */
  readonly expiresAtTicks: number;
}

interface Node<V> extends Kept<V> {
  readonly bytes: number;
  older: Node<V> | undefined;
  newer: Node<V> | undefined;
}

/**
 * Values by key within a bound in bytes: the least recently used go first. lru-cache does the same and more; its every
 * look-up makes an object for options that are not given, and takes three times as long.
 */
export class Recency<V> {
  readonly #maxBytes: number;
  readonly #nodes = new Map<string, Node<V>>();
  #oldest: Node<V> | undefined;
  #newest: Node<V> | undefined;
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get size(): number {
    return this.#nodes.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** The value, which is the last to go from now on. */
  get(key: string): Kept<V> | undefined {
    const node = this.#nodes.get(key);
    if (node && node !== this.#newest) {
      this.#unlink(node);
      this.#append(node);
    }
    return node;
  }

  peek(key: string): Kept<V> | undefined {
    return this.#nodes.get(key);
  }

  /** What is larger than the bound is not kept, and neither is what it takes the place of. */
  set(key: string, value: V, { bytes, expiresAtTicks }: { bytes: number; expiresAtTicks: number }): void {
    this.delete(key);
    if (bytes > this.#maxBytes) return;
    const node = { key, value, expiresAtTicks, bytes, older: undefined, newer: undefined };
    this.#nodes.set(key, node);
    this.#append(node);
    this.#bytes += bytes;
    while (this.#bytes > this.#maxBytes && this.#oldest) this.#remove(this.#oldest);
  }

  delete(key: string): void {
    const node = this.#nodes.get(key);
    if (node) this.#remove(node);
  }

  clear(): void {
    this.#nodes.clear();
    this.#oldest = undefined;
    this.#newest = undefined;
    this.#bytes = 0;
  }

  /** In the order in which they came. */
  values(): Iterable<Kept<V>> {
    return this.#nodes.values();
  }

  #remove(node: Node<V>): void {
    this.#nodes.delete(node.key);
    this.#unlink(node);
    this.#bytes -= node.bytes;
  }

  #append(node: Node<V>): void {
    node.older = this.#newest;
    if (this.#newest) this.#newest.newer = node;
    else this.#oldest = node;
    this.#newest = node;
  }

  /** It keeps nobody alive, even where it is old itself. */
  #unlink(node: Node<V>): void {
    const { older, newer } = node;
    if (older) older.newer = newer;
    else this.#oldest = newer;
    if (newer) newer.older = older;
    else this.#newest = older;
    node.older = undefined;
    node.newer = undefined;
  }
}
