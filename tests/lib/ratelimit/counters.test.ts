import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { FallbackCounter } from '../../../lib/ratelimit/fallbackCounter.ts';
import { LocalCounter } from '../../../lib/ratelimit/localCounter.ts';
import type { Asked, Rate, RateCounter, Verdict } from '../../../lib/ratelimit/rate.ts';
import { type Evaluate, RedisCounter } from '../../../lib/ratelimit/redisCounter.ts';
import { RefusingCounter } from '../../../lib/ratelimit/refusals.ts';
import { openRedisStore } from '../../../lib/store/redis/redis.ts';
import type { Stores } from '../../../lib/store/store.ts';
import { eventually } from '../../support/eventually.ts';
import { redisTestUrl, STORES } from '../../support/gateway/gateway.ts';
import { ManualClock } from '../../support/manualClock.ts';

const MINUTE_MS = 60_000;

let stores: Stores;
beforeAll(async () => {
  stores = await openRedisStore({ url: redisTestUrl(), timeoutMs: 2_000 });
});
afterAll(() => stores.close());

function perMinute(requests: number, burst = requests): Rate {
  return { requests, windowMs: MINUTE_MS, burst };
}

function redisCounter(evaluate: Evaluate = stores.evaluate as Evaluate, isSpread = false): RedisCounter {
  return new RedisCounter({ evaluate, isSpread });
}

/** A counter and a key of its own, so that no two tests count together. */
function counterOf(store: (typeof STORES)[number]): { counter: RateCounter; key: string } {
  const counter = store === 'redis' ? redisCounter() : new LocalCounter();
  return { counter, key: `rate:{i${randomUUID()}}test` };
}

async function admittedAtOnce(counters: readonly RateCounter[], count: number, asked: Asked[]) {
  const takes = Array.from({ length: count }, (_, n) =>
    (counters[n % counters.length] as RateCounter).take(asked),
  );
  return (await Promise.all(takes)).filter(({ refusedBy }) => refusedBy === -1).length;
}

describe.each(STORES)('a rate counted in the %s store', (store) => {
  it('admits the burst and refuses the rest, telling what is left', async () => {
    const { counter, key } = counterOf(store);
    const verdicts: Verdict[] = [];
    for (let n = 0; n < 5; n += 1) verdicts.push(await counter.take([{ key, rate: perMinute(6, 3) }]));
    expect(verdicts.map(({ refusedBy }) => refusedBy)).toEqual([-1, -1, -1, 0, 0]);
    expect(verdicts.map(({ standings }) => standings[0]?.remaining)).toEqual([2, 1, 0, 0, 0]);
    const [first, second, third, ...refused] = verdicts as [Verdict, Verdict, Verdict, Verdict];
    for (const [index, { standings, retryAfterMs }] of [first, second, third].entries()) {
      expect(retryAfterMs).toBe(0);
      const resetMs = standings[0]?.resetMs ?? 0;
      expect(resetMs).toBeLessThanOrEqual((index + 1) * 10_000);
      expect(resetMs).toBeGreaterThan((index + 1) * 10_000 - 5_000);
    }
    for (const { retryAfterMs } of refused) {
      expect(retryAfterMs).toBeLessThanOrEqual(10_000);
      expect(retryAfterMs).toBeGreaterThan(5_000);
    }
  });

  it('has a bucket for every key', async () => {
    const { counter, key } = counterOf(store);
    const rate = perMinute(1);
    expect((await counter.take([{ key, rate }])).refusedBy).toBe(-1);
    expect((await counter.take([{ key, rate }])).refusedBy).toBe(0);
    expect((await counter.take([{ key: `${key}2`, rate }])).refusedBy).toBe(-1);
  });

  it('admits exactly the burst of hundreds that come at once', async () => {
    const { counter, key } = counterOf(store);
    expect(await admittedAtOnce([counter], 300, [{ key, rate: perMinute(50) }])).toBe(50);
  });

  it('admits one more as soon as Retry-After is over, and no sooner', async () => {
    const { counter, key } = counterOf(store);
    const asked = [{ key, rate: { requests: 5, windowMs: 1_000, burst: 1 } }];
    // Before the first one is counted: its reply may be late on a busy machine.
    const begunMs = performance.now();
    expect((await counter.take(asked)).refusedBy).toBe(-1);
    await eventually('the next one', async () => (await counter.take(asked)).refusedBy === -1 || undefined);
    expect(performance.now() - begunMs).toBeGreaterThan(190);
  });

  it('counts in all buckets or in none, and says which keeps the request waiting longest', async () => {
    const { counter, key } = counterOf(store);
    const [one, other] = [
      { key: `${key}1`, rate: perMinute(2) },
      { key: `${key}2`, rate: perMinute(1, 3) },
    ];
    await counter.take([one, other]);
    await counter.take([one, other]);
    for (let n = 0; n < 4; n += 1) {
      const refused = await counter.take([one, other]);
      expect(refused.refusedBy).toBe(0);
      expect(refused.standings.map((standing) => standing?.remaining)).toEqual([0, 1]);
    }
    expect((await counter.take([other])).refusedBy).toBe(-1);
    const both = await counter.take([one, other]);
    expect(both.refusedBy).toBe(1);
    expect(both.retryAfterMs).toBeGreaterThan(30_000);
  });

  it('keeps what was used when another rate is chosen', async () => {
    const { counter, key } = counterOf(store);
    const [free, pro] = [perMinute(2), { requests: 3_600, windowMs: 3_600_000, burst: 5 }];
    await counter.take([{ key, rate: free }]);
    await counter.take([{ key, rate: free }]);
    expect((await counter.take([{ key, rate: free }])).refusedBy).toBe(0);
    const upgraded = await counter.take([{ key, rate: pro }]);
    expect([upgraded.refusedBy, upgraded.standings[0]?.remaining]).toEqual([-1, 2]);
    const back = await counter.take([{ key, rate: free }]);
    expect(back.refusedBy).toBe(0);
    // Three are in the bucket and two may be, so that two must leave it before another one fits.
    expect(back.retryAfterMs).toBeGreaterThan(50_000);
    expect(back.retryAfterMs).toBeLessThanOrEqual(60_000);
  });

  it('counts exactly with the largest numbers', async () => {
    const { counter, key } = counterOf(store);
    const rate = { requests: 1_000_000, windowMs: 86_400_000, burst: 1_000_000 };
    const first = await counter.take([{ key, rate }]);
    expect(first.standings).toEqual([{ remaining: 999_999, resetMs: 87 }]);
  });
});

describe('counters of several gateways on one Redis', () => {
  it('admit together exactly what one would', async () => {
    const others = await openRedisStore({ url: redisTestUrl(), timeoutMs: 2_000 });
    try {
      const counters = [redisCounter(), redisCounter(others.evaluate as Evaluate)];
      expect(await admittedAtOnce(counters, 200, [{ key: randomUUID(), rate: perMinute(40) }])).toBe(40);
    } finally {
      await others.close();
    }
  });

  it('ask once for all buckets, and where they are spread, once for all with the same tag', async () => {
    const asked: (readonly string[])[] = [];
    const evaluate: Evaluate = (script, keys, args) => {
      asked.push(keys);
      return (stores.evaluate as Evaluate)(script, keys, args);
    };
    const id = randomUUID();
    const keys = [`rate:{i${id}}a`, `rate:{i${id}}b`, `rate:{s${id}}a`];
    const buckets = keys.map((key) => ({ key, rate: perMinute(1) }));
    await redisCounter(evaluate).take(buckets);
    expect(asked.splice(0)).toEqual([keys]);
    const refused = await redisCounter(evaluate, true).take(buckets);
    expect(asked.splice(0)).toEqual([keys.slice(0, 2)]);
    expect(refused).toMatchObject({
      refusedBy: 0,
      standings: [{ remaining: 0 }, { remaining: 0 }, undefined],
    });
    const others = buckets.map(({ key, rate }, n) => ({
      key: n < 2 ? key.replace(id, `${id}2`) : key,
      rate,
    }));
    expect((await redisCounter(evaluate, true).take(others)).refusedBy).toBe(2);
    expect(asked.map(({ length }) => length)).toEqual([2, 1]);
  });

  it('have no bucket left once it is empty', async () => {
    const key = `rate:{i${randomUUID()}}test`;
    await redisCounter().take([{ key, rate: { requests: 100, windowMs: 1_000, burst: 1 } }]);
    await eventually('the bucket is gone', async () => {
      const left = await stores.evaluate?.("return redis.call('EXISTS', KEYS[1])", [key], []);
      return left === 0 || undefined;
    });
  });

  it('go on when the clock of Redis is turned back, from where the bucket was', async () => {
    const key = `rate:{i${randomUUID()}}test`;
    const rate = perMinute(60, 2);
    // Somebody whose clock was an hour ahead has filled it.
    const state = `120000 ${MINUTE_MS} ${Date.now() + 3_600_000}`;
    await stores.evaluate?.("return redis.call('SET', KEYS[1], ARGV[1])", [key], [state]);
    const refused = await redisCounter().take([{ key, rate }]);
    expect(refused).toMatchObject({ refusedBy: 0, retryAfterMs: 1_000 });
    await eventually('the next one', async () => {
      return (await redisCounter().take([{ key, rate }])).refusedBy === -1 || undefined;
    });
  });

  it('count here while Redis is away, and there again when it is back', async () => {
    let isAway = true;
    const errors: Error[] = [];
    const redis = redisCounter(async (...command) => {
      if (isAway) throw new Error('away');
      return (stores.evaluate as Evaluate)(...command);
    });
    const counter = new FallbackCounter({
      counter: new RefusingCounter(redis),
      fallback: new LocalCounter(),
      onError: (error) => errors.push(error),
    });
    const asked = [{ key: randomUUID(), rate: perMinute(2) }];
    expect(await admittedAtOnce([counter], 5, asked)).toBe(2);
    expect(errors.map(({ message }) => message)).toEqual(Array(5).fill('away'));
    isAway = false;
    expect((await counter.take(asked)).standings[0]?.remaining).toBe(1);
    expect(errors).toHaveLength(5);
  });
});

describe('a counter that remembers refusals', () => {
  function remembering(rate: Rate) {
    const clock = new ManualClock();
    const there = new LocalCounter({ clock });
    let questions = 0;
    const counter = new RefusingCounter(
      {
        take: async (asked) => {
          questions += 1;
          return there.take(asked);
        },
      },
      { clock },
    );
    return { clock, counter, asked: [{ key: 'ann', rate }], questions: () => questions };
  }

  it('asks nobody until the next one would be admitted', async () => {
    const { clock, counter, asked, questions } = remembering(perMinute(6, 2));
    for (let n = 0; n < 100; n += 1) await counter.take(asked);
    expect(questions()).toBe(3);
    clock.advance(9_999);
    expect(await counter.take(asked)).toEqual({
      refusedBy: 0,
      retryAfterMs: 1,
      standings: [{ remaining: 0, resetMs: 10_001 }],
    });
    expect(questions()).toBe(3);
    clock.advance(1);
    expect((await counter.take(asked)).refusedBy).toBe(-1);
    expect(questions()).toBe(4);
  });

  it('asks again when another rate is chosen', async () => {
    const { counter, asked, questions } = remembering(perMinute(1));
    await counter.take(asked);
    await counter.take(asked);
    const upgraded = await counter.take([{ key: 'ann', rate: perMinute(10) }]);
    expect([upgraded.refusedBy, questions()]).toEqual([-1, 3]);
    expect((await counter.take(asked)).refusedBy).toBe(0);
    expect(questions()).toBe(3);
  });

  it('remembers the bucket that refused, and no other', async () => {
    const { counter, asked, questions } = remembering(perMinute(1));
    const both = [...asked, { key: 'bob', rate: perMinute(2) }];
    await counter.take(both);
    await counter.take(both);
    expect(await counter.take(both)).toMatchObject({
      refusedBy: 0,
      standings: [{ remaining: 0 }, undefined],
    });
    expect(questions()).toBe(2);
    expect((await counter.take([{ key: 'bob', rate: perMinute(2) }])).refusedBy).toBe(-1);
  });
});

it('has bounded memory under a flood of keys, of which those in use keep their place', () => {
  const counter = new LocalCounter({ maxBytes: 100_000 });
  const rate = perMinute(1);
  for (let n = 0; n < 10_000; n += 1) {
    counter.take([{ key: `flood ${n}`, rate }]);
    counter.take([{ key: 'ann', rate }]);
  }
  expect(counter.take([{ key: 'ann', rate }]).refusedBy).toBe(0);
  expect(counter.take([{ key: 'flood 9999', rate }]).refusedBy).toBe(0);
  expect(counter.take([{ key: 'flood 0', rate }]).refusedBy).toBe(-1);
});
