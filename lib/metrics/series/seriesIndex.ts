import type { LabelValues } from './series.ts';

interface Node<T> {
  series: T | undefined;
  readonly next: Map<string, Node<T>>;
}

/**
 * Finds a series by its label values with one Map look-up for each. They are the same few strings again and again,
 * whose hashes V8 keeps; the hash of a joined key would be computed anew for each request.
 */
export class SeriesIndex<T> {
  #root: Node<T> = emptyNode();

  get(values: LabelValues): T | undefined {
    let node: Node<T> | undefined = this.#root;
    for (const value of values) {
      node = node.next.get(value);
      if (!node) return undefined;
    }
    return node.series;
  }

  set(values: LabelValues, series: T): void {
    let node = this.#root;
    for (const value of values) {
      let next = node.next.get(value);
      if (!next) {
        next = emptyNode();
        node.next.set(value, next);
      }
      node = next;
    }
    node.series = series;
  }

  clear(): void {
    this.#root = emptyNode();
  }
}

function emptyNode<T>(): Node<T> {
  return { series: undefined, next: new Map() };
}
