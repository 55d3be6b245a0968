import { fnv1a, spread } from '../../util/hash.ts';

/** Points of each node on the ring: shares differ by some per cent then. */
const POINTS_PER_NODE = 160;

/**
 * Consistent hashing: which of several nodes a text belongs to. It goes by the nodes' names alone, in any order, so that all
 * gateways agree; without one node the texts of all others stay where they are.
 */
export class HashRing {
  /** In order, and at the same index which node each of them belongs to. */
  readonly #points: Uint32Array;
  readonly #owners: Uint16Array;

  /** @param names one or more, each once */
  constructor(names: readonly string[]) {
    const points = names.flatMap((name, owner) =>
      Array.from({ length: POINTS_PER_NODE }, (_, n) => ({ at: spread(fnv1a(`${name}#${n}`)), name, owner })),
    );
    // Two nodes may have the same point: then the name decides, on every gateway.
    points.sort((a, b) => a.at - b.at || (a.name < b.name ? -1 : 1));
    this.#points = Uint32Array.from(points, ({ at }) => at);
    this.#owners = Uint16Array.from(points, ({ owner }) => owner);
  }

  /** The index of the node to which the part of `text` from `from` to before `to` belongs. */
  ownerOf(text: string, from = 0, to = text.length): number {
    const hash = spread(fnv1a(text, undefined, from, to));
    let low = 0;
    let high = this.#points.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#points[middle] as number) < hash) low = middle + 1;
      else high = middle;
    }
    // Past the last point the ring begins anew.
    return this.#owners[low === this.#points.length ? 0 : low] as number;
  }
}
