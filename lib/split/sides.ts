import { fnv1a, spread } from '../util/hash.ts';

const POINTS = 2 ** 32;

/**
 * Divides callers among several sides, by weight. Nothing is kept: every caller has a point from 0 to 1 that follows from its key
 * alone, and every side has a range of these points. So all gateways and threads agree, also after a restart, and a caller stays
 * on its side while the weights stay.
 *
 * The ranges lie in the order of the sides. A side that alone gets a larger weight keeps all its callers. Of two sides, whatever
 * the weights become, only callers of the one whose share shrinks move.
 *
 * Whoever can choose its own key can choose its side. So no side may be kept from anybody by the division alone.
 */
export class Sides {
  /** The end of each side's range, which belongs to the next; the last is 1. */
  readonly ends: readonly number[];
  readonly #seed: number;

  /**
   * @param salt decides, with its key, which point a caller has: two divisions with the same salt divide callers alike
   * @param weights of each side, from 0; only how they compare counts
   * @throws {RangeError} for a weight that is none, and where all are 0
   */
  constructor(salt: string, weights: readonly number[]) {
    const wrong = weights.find((weight) => !(weight >= 0 && weight < Number.POSITIVE_INFINITY));
    if (wrong !== undefined) throw new RangeError(`weights must be numbers from 0, got ${wrong}`);
    const sum = weights.reduce((all, weight) => all + weight, 0);
    if (sum === 0) throw new RangeError(`one weight at least must be above 0, got ${weights.join(', ')}`);
    this.#seed = fnv1a(salt);
    let before = 0;
    const ends = weights.map((weight) => {
      before += weight;
      return before / sum;
    });
    // Sums of fractions may miss it by a little, and a side without callers must not end there.
    const last = weights.findLastIndex((weight) => weight > 0);
    this.ends = ends.map((end, side) => (side >= last ? 1 : end));
  }

  /** The caller's point: 0 or more, and less than 1. */
  pointOf(key: string): number {
    return spread(fnv1a(key, this.#seed)) / POINTS;
  }

  /** The side that has this point, counted from 0. */
  sideAt(point: number): number {
    let side = 0;
    while (point >= (this.ends[side] as number)) side += 1;
    return side;
  }

  /** The part of all points that a side has, from 0 to 1. */
  shareOf(side: number): number {
    return (this.ends[side] as number) - (this.ends[side - 1] ?? 0);
  }
}
