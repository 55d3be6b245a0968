import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Request, RequestHandler } from 'express';
import { RateLimitError } from '../../../lib/ratelimit/errors.ts';
import { rateLimit } from '../../../lib/ratelimit/middleware.ts';
import { type Rate, RateLimit } from '../../../lib/ratelimit/rateLimit.ts';
import type { Evaluate } from '../../../lib/ratelimit/redisCounter.ts';
import { writerOf } from '../../../lib/response/responseWriter.ts';
import { openRedisStore } from '../../../lib/store/redis/redis.ts';
import type { Stores } from '../../../lib/store/store.ts';
import { BrokenListener } from '../../support/brokenListener.ts';
import { call } from '../../support/clients/client.ts';
import { eventually } from '../../support/eventually.ts';
import { answers, bareApp } from '../../support/gateway/bareApp.ts';
import { redisTestUrl, STORES } from '../../support/gateway/gateway.ts';

const MINUTE_MS = 60_000;

let stores: Stores;
beforeAll(async () => {
  stores = await openRedisStore({ url: redisTestUrl(), timeoutMs: 2_000 });
});
afterAll(() => stores.close());

/** A limit of its own, so that no two tests count together. */
function limitOf(requests: number, store: (typeof STORES)[number], windowMs = MINUTE_MS): RateLimit {
  const evaluate = store === 'redis' ? stores.evaluate : undefined;
  return new RateLimit({ policy: `test-${randomUUID()}`, rate: { requests, windowMs }, evaluate });
}

/** What became of `count` requests sent at once, admitted ones first. */
async function takeAtOnce(limits: readonly RateLimit[], count: number): Promise<number> {
  const takes = Array.from({ length: count }, (_, n) => (limits[n % limits.length] as RateLimit).take('ann'));
  return (await Promise.all(takes)).filter(({ admitted }) => admitted).length;
}

describe.each(STORES)('a rate limit counted in the %s store', (store) => {
  it('admits as many as it says and refuses the rest, telling what is left', async () => {
    const limit = limitOf(3, store);
    const verdicts = [];
    for (let n = 0; n < 5; n += 1) verdicts.push(await limit.take('ann'));
    expect(verdicts.map(({ admitted }) => admitted)).toEqual([true, true, true, false, false]);
    expect(verdicts.map(({ remaining }) => remaining)).toEqual([2, 1, 0, 0, 0]);
    for (const { resetMs } of verdicts) {
      expect(resetMs).toBeGreaterThan(MINUTE_MS / 2);
      expect(resetMs).toBeLessThanOrEqual(MINUTE_MS);
    }
  });

  it('counts every key for itself', async () => {
    const limit = limitOf(1, store);
    expect((await limit.take('ann')).admitted).toBe(true);
    expect((await limit.take('ann')).admitted).toBe(false);
    expect((await limit.take('bob')).admitted).toBe(true);
  });

  it('admits exactly as many of hundreds that come at once', async () => {
    expect(await takeAtOnce([limitOf(50, store)], 300)).toBe(50);
  });

  it('begins anew when the window has passed', async () => {
    const limit = limitOf(2, store, 1_000);
    await takeAtOnce([limit], 3);
    const verdict = await eventually('a new window', async () => {
      const taken = await limit.take('ann');
      return taken.admitted ? taken : undefined;
    });
    expect(verdict.remaining).toBe(1);
  });
});

describe('rate limits of several gateways on one Redis', () => {
  it('admit together exactly as many as one would', async () => {
    const policy = `test-${randomUUID()}`;
    const others = await openRedisStore({ url: redisTestUrl(), timeoutMs: 2_000 });
    try {
      const rate: Rate = { requests: 40, windowMs: MINUTE_MS };
      const limits = [stores, others].map(({ evaluate }) => new RateLimit({ policy, rate, evaluate }));
      expect(await takeAtOnce(limits, 200)).toBe(40);
    } finally {
      await others.close();
    }
  });

  it('refuse from memory who has had all requests', async () => {
    let asked = 0;
    const evaluate: Evaluate = (...command) => {
      asked += 1;
      return (stores.evaluate as Evaluate)(...command);
    };
    const rate = { requests: 2, windowMs: MINUTE_MS };
    const limit = new RateLimit({ policy: `test-${randomUUID()}`, rate, evaluate });
    for (let n = 0; n < 100; n += 1) await limit.take('ann');
    expect(asked).toBe(2);
  });

  it('count here while Redis is away, and there again when it is back', async () => {
    let isAway = true;
    const errors: Error[] = [];
    const limit = new RateLimit({
      policy: `test-${randomUUID()}`,
      rate: { requests: 2, windowMs: MINUTE_MS },
      evaluate: async (...command) => {
        if (isAway) throw new Error('away');
        return (stores.evaluate as Evaluate)(...command);
      },
      onStoreError: (error) => errors.push(error),
    });
    expect(await takeAtOnce([limit], 5)).toBe(2);
    expect(errors.map(({ message }) => message)).toEqual(Array(5).fill('away'));
    isAway = false;
    expect(await limit.take('ann')).toMatchObject({ admitted: true, remaining: 1 });
    expect(errors).toHaveLength(5);
  });
});

describe('RateLimit', () => {
  it.each([
    [{ rate: { requests: 0, windowMs: 1000 } }, 'requests must be a whole number above 0, got 0'],
    [{ rate: { requests: 1.5, windowMs: 1000 } }, 'requests must be a whole number above 0, got 1.5'],
    [{ rate: { requests: 1, windowMs: 1500 } }, 'windowMs / 1000 must be a whole number above 0, got 1.5'],
    [{ policy: 'a"b' }, 'policy must be letters, digits, - and _, got "a"b"'],
  ])('refuses %j', (wrong, message) => {
    const right = { policy: 'test', rate: { requests: 1, windowMs: 1000 } };
    expect(() => new RateLimit({ ...right, ...wrong })).toThrow(`RateLimit: ${message}`);
  });
});

describe('the middleware', () => {
  const byQuery = ({ query }: Request) => query.key as string | undefined;

  it('tells every response where its client stands, and a refused one when to come back', async () => {
    const limit = new RateLimit({ policy: 'identity', rate: { requests: 2, windowMs: MINUTE_MS } });
    let limited = 0;
    const onLimited = () => {
      limited += 1;
    };
    await using app = await bareApp([rateLimit({ limit, keyOf: byQuery, onLimited }), answers()]);
    const first = await call(new URL('/?key=ann', app.url));
    expect(first.status).toBe(200);
    expect(first.headers['ratelimit-policy']).toBe('"identity";q=2;w=60');
    expect(first.headers.ratelimit).toBe('"identity";r=1;t=60');
    await call(new URL('/?key=ann', app.url));
    expect(limited).toBe(0);

    const refused = await call(new URL('/?key=ann', app.url));
    expect(refused.status).toBe(429);
    expect(refused.headers.ratelimit).toMatch(/^"identity";r=0;t=(60|59)$/);
    expect(app.errors).toEqual([expect.any(RateLimitError)]);
    expect(app.errors[0]).toMatchObject({
      code: 'rate_limited',
      status: 429,
      message: 'the rate limit "identity" is reached',
    });
    expect((app.errors[0] as RateLimitError).retryAfterMs).toBeGreaterThan(MINUTE_MS / 2);
    expect(limited).toBe(1);
  });

  it('tells of several limits, in place of what the service says of its own', async () => {
    const limits = ['address', 'identity'].map((policy) => {
      return new RateLimit({ policy, rate: { requests: 2, windowMs: MINUTE_MS } });
    });
    const service: RequestHandler = (_req, res) => {
      const fields = ['RateLimit-Policy', '"own";q=9', 'RateLimit', '"own";r=9', 'X-Own', '1'];
      writerOf(res).whole(200, fields);
    };
    const stages = limits.map((limit) => rateLimit({ limit, keyOf: byQuery }));
    await using app = await bareApp([...stages, service]);
    const { headers } = await call(new URL('/?key=ann', app.url));
    expect(headers['x-own']).toBe('1');
    expect(headers['ratelimit-policy']).toBe('"address";q=2;w=60, "identity";q=2;w=60');
    expect(headers.ratelimit).toBe('"address";r=1;t=60, "identity";r=1;t=60');
  });

  it('lets pass, uncounted, whom there is no key for', async () => {
    const limit = new RateLimit({ policy: 'identity', rate: { requests: 1, windowMs: MINUTE_MS } });
    await using app = await bareApp([rateLimit({ limit, keyOf: byQuery }), answers()]);
    for (let n = 0; n < 3; n += 1) {
      const { status, headers } = await call(app.url);
      expect([status, headers.ratelimit]).toEqual([200, undefined]);
    }
  });

  it('shares the fields with another limit in the same chain', async () => {
    const [address, identity] = ['address', 'identity'].map((policy) =>
      rateLimit({
        limit: new RateLimit({ policy, rate: { requests: 5, windowMs: MINUTE_MS } }),
        keyOf: byQuery,
      }),
    ) as [ReturnType<typeof rateLimit>, ReturnType<typeof rateLimit>];
    await using app = await bareApp([address, identity, answers()]);
    const { headers } = await call(new URL('/?key=ann', app.url));
    expect(headers['ratelimit-policy']).toBe('"address";q=5;w=60, "identity";q=5;w=60');
    expect(headers.ratelimit).toBe('"address";r=4;t=60, "identity";r=4;t=60');
  });

  it('hands on an error of its counter', async () => {
    const limit = new RateLimit({ policy: 'identity', rate: { requests: 1, windowMs: MINUTE_MS } });
    const broken = Object.assign(limit, { take: () => Promise.reject(new Error('broken')) });
    await using app = await bareApp([rateLimit({ limit: broken, keyOf: byQuery }), answers()]);
    expect((await call(new URL('/?key=ann', app.url))).status).toBe(500);
    expect(app.errors.map(({ message }) => message)).toEqual(['broken']);
  });

  it('survives a listener that throws', async () => {
    using broken = new BrokenListener();
    const limit = new RateLimit({ policy: 'identity', rate: { requests: 1, windowMs: MINUTE_MS } });
    const limited = rateLimit({ limit, keyOf: byQuery, onLimited: broken.listen });
    await using app = await bareApp([limited, answers()]);
    await call(new URL('/?key=ann', app.url));
    expect((await call(new URL('/?key=ann', app.url))).status).toBe(429);
  });
});
