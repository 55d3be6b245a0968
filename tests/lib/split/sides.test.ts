import { describe, expect, it } from '@jest/globals';
import { Sides } from '../../../lib/split/sides.ts';

const CALLERS = Array.from({ length: 20_000 }, (_, n) =>
  n % 2 === 0 ? `iss:https%3A%2F%2Fid.faf.example sub string:user-${n}` : `10.${n % 7}.${n >> 8}.${n & 255}`,
);

/** How many callers each side has. */
function countOn(sides: Sides): number[] {
  const counts = sides.ends.map(() => 0);
  for (const caller of CALLERS) {
    const side = sides.sideAt(sides.pointOf(caller));
    counts[side] = (counts[side] ?? 0) + 1;
  }
  return counts;
}

/** The moves of callers between sides, such as `0>1`, when the weights change. */
function movesBetween(before: readonly number[], after: readonly number[]): Set<string> {
  const [one, other] = [new Sides('/checkin', before), new Sides('/checkin', after)];
  const moves = CALLERS.map((caller) => {
    const point = one.pointOf(caller);
    return `${one.sideAt(point)}>${other.sideAt(point)}`;
  });
  return new Set(moves.filter((move) => move[0] !== move[2]));
}

describe('which side a point belongs to', () => {
  it.each([
    { weights: [90, 10], ends: [0.9, 1] },
    { weights: [9, 1], ends: [0.9, 1] },
    { weights: [1, 1, 2], ends: [0.25, 0.5, 1] },
    { weights: [0.5, 199.5], ends: [0.0025, 1] },
    { weights: [0, 100], ends: [0, 1] },
    { weights: [100, 0], ends: [1, 1] },
    { weights: [0, 1, 0], ends: [0, 1, 1] },
    { weights: [7], ends: [1] },
    {
      weights: Array.from({ length: 10 }, () => 0.1),
      ends: [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1],
    },
  ])('by the weights $weights', ({ weights, ends }) => {
    const sides = new Sides('', weights);
    for (const [side, end] of ends.entries()) expect(sides.ends[side]).toBeCloseTo(end, 12);
    expect(sides.ends.at(-1)).toBe(1);
    expect(weights.map((_, side) => sides.shareOf(side)).reduce((sum, share) => sum + share)).toBeCloseTo(1);
  });

  it('is the one whose range begins there', () => {
    const sides = new Sides('', [1, 0, 1, 2]);
    expect([0, 0.2499999, 0.25, 0.4999999, 0.5, 1 - 2 ** -32].map((point) => sides.sideAt(point))).toEqual([
      0, 0, 2, 2, 3, 3,
    ]);
  });

  it.each([[[0, 0]], [[]], [[1, -1]], [[1, Number.NaN]], [[1, Number.POSITIVE_INFINITY]]])(
    'is refused for %j',
    (weights) => {
      expect(() => new Sides('', weights)).toThrow(RangeError);
    },
  );
});

describe('the point of a caller', () => {
  it('is the same in every process and release', () => {
    // A change here moves callers: it belongs into the changelog.
    const sides = new Sides('/checkin', [1]);
    const points = ['nobody sub string:ann', 'nobody sub string:bob', '192.0.2.7'].map((key) =>
      sides.pointOf(key),
    );
    expect(points).toEqual([0.22995670256204903, 0.6929327638354152, 0.3510533084627241]);
  });

  it('divides callers as the weights say', () => {
    for (const weights of [
      [90, 10],
      [50, 50],
      [1, 1, 1, 1],
      [99.5, 0.5],
    ]) {
      const sides = new Sides('/checkin', weights);
      for (const [side, count] of countOn(sides).entries()) {
        const expected = CALLERS.length * sides.shareOf(side);
        // Four standard deviations of the binomial distribution.
        expect(Math.abs(count - expected)).toBeLessThan(
          4 * Math.sqrt(expected * (1 - sides.shareOf(side))) + 1,
        );
      }
    }
  });

  it('says nothing about the point that the same caller has with another salt', () => {
    const [one, other] = [new Sides('/checkin', [1, 1]), new Sides('/booking', [1, 1])];
    const both = CALLERS.filter(
      (caller) => one.sideAt(one.pointOf(caller)) === 0 && other.sideAt(other.pointOf(caller)) === 0,
    );
    expect(both.length / CALLERS.length).toBeCloseTo(0.25, 1);
  });
});

describe('when weights change', () => {
  it('only callers of the side that shrinks move, of two', () => {
    expect(movesBetween([90, 10], [80, 20])).toEqual(new Set(['0>1']));
    expect(movesBetween([90, 10], [99, 1])).toEqual(new Set(['1>0']));
    expect(movesBetween([90, 10], [900, 100])).toEqual(new Set());
    expect(movesBetween([100, 0], [0, 100])).toEqual(new Set(['0>1']));
  });

  it('a side that alone gets more keeps all its callers', () => {
    for (const grown of [0, 1, 2]) {
      const weights = [50, 30, 20];
      const after = weights.map((weight, side) => (side === grown ? weight * 1.5 : weight));
      const moves = [...movesBetween(weights, after)];
      expect(moves.length).toBeGreaterThan(0);
      expect(moves.filter((move) => move.startsWith(`${grown}>`))).toEqual([]);
    }
  });

  it('a side that is added takes callers, and gives none', () => {
    expect([...movesBetween([90, 10, 0], [90, 10, 10])].filter((move) => move.startsWith('2'))).toEqual([]);
  });
});
