import { describe, expect, it } from '@jest/globals';
import { experiment } from './experiment.ts';
import { leastDue, mostTooMany } from './promise.ts';

const PROMISED = { perMs: 0.01, burst: 2 };
const at = (...times: (number | [sentMs: number, receivedMs: number])[]) =>
  times.map((time) => {
    const [sentMs, receivedMs] = typeof time === 'number' ? [time, time + 0.5] : time;
    return { sentMs, receivedMs };
  });

describe('the promise of a rate', () => {
  it('is kept by the burst and one each 100 ms', () => {
    expect(mostTooMany(at(0, 1, 100, 200, 300), PROMISED)).toBeLessThanOrEqual(0);
  });

  it('is broken by one more', () => {
    expect(mostTooMany(at(0, 1, 50), PROMISED)).toBe(1);
    expect(mostTooMany(at(0, 100, 200, 1_000, 1_001, 1_002, 1_003), PROMISED)).toBe(2);
  });

  it('is kept where that one may have been counted later', () => {
    expect(mostTooMany(at(0, 1, [50, 110]), PROMISED)).toBeLessThanOrEqual(0);
  });

  it('is kept by times that Redis sees a millisecond apart', () => {
    expect(mostTooMany(at([0.9, 0.95], [0.91, 0.96], [100, 100.05]), PROMISED)).toBeLessThanOrEqual(0);
  });

  it('finds the worst window as comparing all of them does', () => {
    let seed = 7;
    const random = () => {
      seed = (seed * 48_271) % 2_147_483_647;
      return seed / 2_147_483_647;
    };
    for (let n = 0; n < 50; n += 1) {
      const admitted = Array.from({ length: 40 }, () => {
        const sentMs = random() * 2_000;
        return { sentMs, receivedMs: sentMs + random() * 50 };
      });
      const all = admitted.flatMap(({ sentMs: fromMs }) =>
        admitted.flatMap(({ receivedMs: toMs }) => {
          const within = admitted.filter((each) => each.sentMs >= fromMs && each.receivedMs <= toMs);
          return within.length === 0
            ? []
            : within.length - PROMISED.perMs * (toMs - fromMs + 1) - PROMISED.burst;
        }),
      );
      expect(mostTooMany(admitted, PROMISED)).toBe(Math.ceil(Math.max(...all) - 1e-6));
    }
  });

  it('has something due for each time that passes', () => {
    expect(leastDue(1_000, PROMISED)).toBe(10);
  });
});

it('two gateways on one Redis keep it together', async () => {
  const { rows, odd, alone } = await experiment(5_000);
  expect([...odd]).toEqual([]);
  expect(alone).toBe(0);
  expect(rows.map(({ plan, tooMany, short }) => [plan, tooMany, short])).toEqual([
    ['free', 0, 0],
    ['pro', 0, 0],
    ['default', 0, 0],
    ['changing', 0, 0],
  ]);
}, 60_000);
