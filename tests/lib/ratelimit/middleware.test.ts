import { describe, expect, it } from '@jest/globals';
import type { Request, RequestHandler } from 'express';
import { exchangeOf, type Identity } from '../../../lib/exchange/exchange.ts';
import { RateLimitError } from '../../../lib/ratelimit/errors.ts';
import { LocalCounter } from '../../../lib/ratelimit/localCounter.ts';
import { type RatePolicy, rateLimit } from '../../../lib/ratelimit/middleware.ts';
import type { RateCounter } from '../../../lib/ratelimit/rate.ts';
import { writerOf } from '../../../lib/response/responseWriter.ts';
import { BrokenListener } from '../../support/brokenListener.ts';
import { call } from '../../support/clients/client.ts';
import { answers, bareApp } from '../../support/gateway/bareApp.ts';
import { ManualClock } from '../../support/manualClock.ts';

const MINUTE_MS = 60_000;

const byQuery = ({ query }: Request) => query.key as string | undefined;

function policyOf(requests: number, name = 'identity', burst = requests): RatePolicy {
  const bucketOf = (req: Request) => byQuery(req) && `${name} ${byQuery(req)}`;
  return { name, bucketOf, rate: { requests, windowMs: MINUTE_MS, burst } };
}

function limited(
  policies: readonly RatePolicy[],
  counter: RateCounter = new LocalCounter({ clock: new ManualClock() }),
): RequestHandler {
  return rateLimit({ counter, policies });
}

describe('rateLimit', () => {
  const rate = { requests: 1, windowMs: 1000, burst: 1 };
  it.each([
    [{ rate: { ...rate, requests: 0 } }, 'requests must be a whole number above 0, got 0'],
    [{ rate: { ...rate, requests: 1.5 } }, 'requests must be a whole number above 0, got 1.5'],
    [{ rate: { ...rate, burst: 0 } }, 'burst must be a whole number above 0, got 0'],
    [{ rate: { ...rate, windowMs: Number.NaN } }, 'windowMs must be a whole number above 0, got NaN'],
    [
      { rate: { requests: 1, windowMs: 2 ** 30, burst: 2 ** 30 } },
      'burst times windowMs must be at most 1125899906842623.9, got 1073741824 times 1073741824',
    ],
    [{ name: 'a"b' }, 'name must be letters, digits, - and _, got "a"b"'],
  ])('refuses %j', (wrong, message) => {
    expect(() => limited([{ ...policyOf(1), ...wrong }])).toThrow(`ratelimit: ${message}`);
  });
});

describe('the middleware', () => {
  it('tells every response where its client stands, and a refused one when to come back', async () => {
    const told: string[] = [];
    const clock = new ManualClock();
    const stage = rateLimit({
      counter: new LocalCounter({ clock }),
      policies: [policyOf(2)],
      onLimited: (policy) => told.push(policy),
    });
    await using app = await bareApp([stage, answers()]);
    const first = await call(new URL('/?key=ann', app.url));
    expect(first.status).toBe(200);
    expect(first.headers['ratelimit-policy']).toBe('"identity";q=2;w=60');
    expect(first.headers.ratelimit).toBe('"identity";r=1;t=30');
    await call(new URL('/?key=ann', app.url));
    expect(told).toEqual([]);

    const refused = await call(new URL('/?key=ann', app.url));
    expect([refused.status, refused.headers.ratelimit]).toEqual([429, '"identity";r=0;t=60']);
    expect(app.errors).toEqual([expect.any(RateLimitError)]);
    expect(app.errors[0]).toMatchObject({
      code: 'rate_limited',
      status: 429,
      message: 'the rate limit "identity" is reached',
      policy: 'identity',
      retryAfterMs: 30_000,
    });
    expect(told).toEqual(['identity']);
    clock.advance(29_999);
    expect((await call(new URL('/?key=ann', app.url))).status).toBe(429);
    expect((app.errors[1] as RateLimitError).retryAfterMs).toBe(1);
    clock.advance(1);
    expect((await call(new URL('/?key=ann', app.url))).status).toBe(200);
  });

  it('tells of the burst, and how long it takes to be there again', async () => {
    const policies = [policyOf(100, 'a', 20), policyOf(7, 'b', 3), policyOf(1, 'c', 2)];
    await using app = await bareApp([limited(policies), answers()]);
    const { headers } = await call(new URL('/?key=ann', app.url));
    expect(headers['ratelimit-policy']).toBe('"a";q=20;w=12, "b";q=3;w=26, "c";q=2;w=120');
    expect(headers.ratelimit).toBe('"a";r=19;t=1, "b";r=2;t=9, "c";r=1;t=60');
  });

  it('asks for all policies at once, in their order', async () => {
    const asked: unknown[] = [];
    const counter: RateCounter = {
      take: (buckets) => {
        asked.push(buckets.map(({ key, rate }) => [key, rate.requests]));
        return { refusedBy: -1, retryAfterMs: 0, standings: buckets.map(() => undefined) };
      },
    };
    const nobody: RatePolicy = { ...policyOf(9, 'nobody'), bucketOf: () => undefined };
    await using app = await bareApp([
      limited([policyOf(1, 'a'), nobody, policyOf(2, 'b')], counter),
      answers(),
    ]);
    const { headers } = await call(new URL('/?key=ann', app.url));
    expect(asked).toEqual([
      [
        ['a ann', 1],
        ['b ann', 2],
      ],
    ]);
    // What is left is not known.
    expect([headers['ratelimit-policy'], headers.ratelimit]).toEqual([
      '"a";q=1;w=60, "b";q=2;w=60',
      undefined,
    ]);
  });

  it('counts a refused request in no bucket', async () => {
    const open: RatePolicy = { ...policyOf(9, 'all'), bucketOf: () => 'all' };
    await using app = await bareApp([limited([policyOf(1), open]), answers()]);
    for (let n = 0; n < 5; n += 1) await call(new URL('/?key=ann', app.url));
    const { headers } = await call(new URL('/?key=bob', app.url));
    expect(headers.ratelimit).toBe('"identity";r=0;t=60, "all";r=7;t=14');
  });

  it('tells of several limits, in place of what the service says of its own', async () => {
    const service: RequestHandler = (_req, res) => {
      const fields = ['RateLimit-Policy', '"own";q=9', 'RateLimit', '"own";r=9', 'X-Own', '1'];
      writerOf(res).whole(200, fields);
    };
    const stages = ['address', 'identity'].map((name) => limited([policyOf(2, name)]));
    await using app = await bareApp([...stages, service]);
    const { headers } = await call(new URL('/?key=ann', app.url));
    expect(headers['x-own']).toBe('1');
    expect(headers['ratelimit-policy']).toBe('"address";q=2;w=60, "identity";q=2;w=60');
    expect(headers.ratelimit).toBe('"address";r=1;t=30, "identity";r=1;t=30');
  });

  it('lets pass, uncounted, whom there is no bucket for', async () => {
    await using app = await bareApp([limited([policyOf(1)]), answers()]);
    for (let n = 0; n < 3; n += 1) {
      const { status, headers } = await call(app.url);
      expect([status, headers.ratelimit]).toEqual([200, undefined]);
    }
  });

  it('hands on an error of its counter', async () => {
    const counter = { take: () => Promise.reject(new Error('broken')) };
    await using app = await bareApp([limited([policyOf(1)], counter), answers()]);
    expect((await call(new URL('/?key=ann', app.url))).status).toBe(500);
    expect(app.errors.map(({ message }) => message)).toEqual(['broken']);
  });

  it('survives a listener that throws', async () => {
    using broken = new BrokenListener();
    const counter = new LocalCounter();
    const stage = rateLimit({ counter, policies: [policyOf(1)], onLimited: broken.listen });
    await using app = await bareApp([stage, answers()]);
    await call(new URL('/?key=ann', app.url));
    expect((await call(new URL('/?key=ann', app.url))).status).toBe(429);
  });

  it('lets what a token says choose the rate, and never the bucket', async () => {
    const plans: RatePolicy = {
      ...policyOf(1),
      by: { claim: 'plan' },
      rates: [['pro', { requests: 5, windowMs: MINUTE_MS, burst: 5 }]],
    };
    const identify: RequestHandler = ({ query }, res, next) => {
      const claims = Buffer.from(JSON.stringify({ plan: query.plan })).toString('base64url');
      exchangeOf(res).identity = { subject: 'ann', key: 'ann', claims } satisfies Identity;
      next();
    };
    await using app = await bareApp([identify, limited([plans]), answers()]);
    const statusOf = async (plan: string) => (await call(new URL(`/?key=ann&plan=${plan}`, app.url))).status;
    const statuses = [];
    for (const plan of ['free', 'free', 'pro', 'free', 'pro', 'pro', 'pro', 'pro'])
      statuses.push(await statusOf(plan));
    expect(statuses).toEqual([200, 429, 200, 429, 200, 200, 200, 429]);
  });
});
