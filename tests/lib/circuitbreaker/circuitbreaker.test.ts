import { describe, expect, it } from '@jest/globals';
import type { RequestHandler } from 'express';
import { CircuitBreaker } from '../../../lib/circuitbreaker/breaker.ts';
import type { Breaker } from '../../../lib/circuitbreaker/contract.ts';
import { CircuitOpenError } from '../../../lib/circuitbreaker/errors.ts';
import { circuitBreaker } from '../../../lib/circuitbreaker/middleware.ts';
import { Attempt } from '../../../lib/exchange/attempt.ts';
import { exchangeOf } from '../../../lib/exchange/exchange.ts';
import { BrokenListener } from '../../support/brokenListener.ts';
import { answerTo, call, open } from '../../support/clients/client.ts';
import { eventually } from '../../support/eventually.ts';
import { answers, bareApp } from '../../support/gateway/bareApp.ts';
import { ManualClock } from '../../support/manualClock.ts';
import { neverCalled } from '../../support/neverCalled.ts';

const COOLDOWN_MS = 30_000;

/** A breaker that the first failure opens. */
function touchyBreaker(clock = new ManualClock()): CircuitBreaker {
  return new CircuitBreaker({ threshold: 1, windowMs: 10_000, cooldownMs: COOLDOWN_MS, clock });
}

function answersStatus(status: number): RequestHandler {
  return (_req, res) => void res.status(status).end();
}

describe('circuitBreaker alone', () => {
  const outcomes: { name: string; handler: RequestHandler; counts: boolean }[] = [
    { name: '200', handler: answersStatus(200), counts: false },
    { name: '304', handler: answersStatus(304), counts: false },
    { name: '400', handler: answersStatus(400), counts: false },
    { name: '404', handler: answersStatus(404), counts: false },
    { name: '429', handler: answersStatus(429), counts: false },
    { name: '499', handler: answersStatus(499), counts: false },
    { name: '500', handler: answersStatus(500), counts: true },
    { name: '502', handler: answersStatus(502), counts: true },
    { name: '503', handler: answersStatus(503), counts: true },
    { name: '504', handler: answersStatus(504), counts: true },
    {
      name: 'an error in the handler',
      handler: (_req, _res, next) => next(new Error('broken')),
      counts: true,
    },
  ];

  it.each(outcomes)('counts $name as a failure: $counts', async ({ handler, counts }) => {
    const breaker = touchyBreaker();
    await using app = await bareApp([circuitBreaker({ breakerFor: () => breaker }), handler]);
    await call(app.url);
    await eventually('the end', () => app.responses[0]?.closed);
    expect(breaker.state).toBe(counts ? 'open' : 'closed');
  });

  it('does not count a client that leaves', async () => {
    const breaker = touchyBreaker();
    await using app = await bareApp([circuitBreaker({ breakerFor: () => breaker }), () => {}]);
    const req = open(app.url).end();
    await eventually('the request', () => app.responses.length === 1);
    req.destroy();
    await eventually('the end', () => app.responses[0]?.closed);
    expect(breaker.state).toBe('closed');
  });

  it('refuses with CircuitOpenError, calling nobody, until the cooldown is over', async () => {
    const clock = new ManualClock();
    const breaker = touchyBreaker(clock);
    const rejected: Breaker[] = [];
    const handlers: RequestHandler[] = [answersStatus(500), neverCalled('the handler'), answersStatus(200)];
    await using app = await bareApp([
      circuitBreaker({ breakerFor: () => breaker, onRejected: (one) => void rejected.push(one) }),
      (req, res, next) => handlers[Number(req.path.slice(1))]?.(req, res, next),
    ]);
    await call(app.url, { path: '/0' });
    await eventually('open', () => breaker.state === 'open');

    clock.advance(10_000);
    expect((await call(app.url, { path: '/1' })).status).toBe(503);
    expect(app.errors).toEqual([expect.any(CircuitOpenError)]);
    expect(app.errors[0]).toMatchObject({
      code: 'circuit_open',
      message: 'Circuit breaker is open',
      retryAfterMs: COOLDOWN_MS - 10_000,
    });
    expect(rejected).toEqual([breaker]);

    clock.advance(COOLDOWN_MS - 10_000);
    expect((await call(app.url, { path: '/2' })).status).toBe(200);
    await eventually('closed', () => breaker.state === 'closed');
  });

  it('lets one request try, and frees the place when its client leaves', async () => {
    const clock = new ManualClock();
    const breaker = touchyBreaker(clock);
    breaker.tryAcquire('ann')?.fail('bad');
    clock.advance(COOLDOWN_MS);
    let answer: RequestHandler = () => {};
    await using app = await bareApp([
      circuitBreaker({ breakerFor: () => breaker }),
      (req, res, next) => answer(req, res, next),
    ]);
    const trial = open(app.url).end();
    await eventually('the trial', () => breaker.state === 'half-open');
    const refused = await Promise.all([1, 2, 3].map(() => call(app.url)));
    expect(refused.map(({ status }) => status)).toEqual([503, 503, 503]);
    trial.destroy();
    await eventually('a free place', () => breaker.admits);
    answer = answers();
    expect((await call(app.url)).status).toBe(200);
    await eventually('closed', () => breaker.state === 'closed');
  });

  it('refuses as before when the listener throws', async () => {
    using broken = new BrokenListener();
    const breaker = touchyBreaker();
    breaker.tryAcquire('ann')?.fail('bad');
    await using app = await bareApp([
      circuitBreaker({ breakerFor: () => breaker, onRejected: broken.listen }),
      neverCalled('the handler'),
    ]);
    expect((await call(app.url)).status).toBe(503);
  });

  it('keeps the breakers of different replicas apart', async () => {
    const breakers: Record<string, CircuitBreaker> = { '/a': touchyBreaker(), '/b': touchyBreaker() };
    breakers['/a']?.tryAcquire('ann')?.fail('bad');
    await using app = await bareApp([
      circuitBreaker({ breakerFor: (res) => breakers[res.req.path] as CircuitBreaker }),
      answers(),
    ]);
    expect((await call(app.url, { path: '/a' })).status).toBe(503);
    expect((await call(app.url, { path: '/b' })).status).toBe(200);
  });
});

describe('circuitBreaker with an attempt', () => {
  const TARGET = { key: 'replica', id: 'replica', url: new URL('http://replica') };
  const balances: RequestHandler = (_req, res, next) => {
    exchangeOf(res).attempt = new Attempt(TARGET);
    next();
  };

  /** One request whose attempt the test plays; resolves with the breaker after it. */
  async function breakerAfter(play: (attempt: Attempt) => void): Promise<CircuitBreaker> {
    const breaker = new CircuitBreaker({ threshold: 2, windowMs: 10_000, cooldownMs: COOLDOWN_MS });
    breaker.tryAcquire('ann')?.fail('bad');
    const plays: RequestHandler = (_req, res) => {
      play(exchangeOf(res).attempt as Attempt);
      res.end();
    };
    await using app = await bareApp([balances, circuitBreaker({ breakerFor: () => breaker }), plays]);
    await call(app.url);
    return breaker;
  }

  const error = new Error('broken');
  const plays: { name: string; play: (attempt: Attempt) => void; counts: boolean }[] = [
    {
      name: 'a whole response',
      play: (attempt) => {
        attempt.responded(200);
        attempt.end({ kind: 'completed' });
      },
      counts: false,
    },
    { name: 'a 5xx', play: (attempt) => attempt.responded(500), counts: true },
    { name: 'a 4xx', play: (attempt) => attempt.responded(404), counts: false },
    {
      name: 'no response',
      play: (attempt) => attempt.end({ kind: 'failed', failure: 'bad', error }),
      counts: true,
    },
    { name: 'an abandoned call', play: (attempt) => attempt.end({ kind: 'abandoned' }), counts: false },
    {
      name: 'a response that breaks off',
      play: (attempt) => {
        attempt.responded(200);
        attempt.end({ kind: 'failed', failure: 'bad', error });
      },
      counts: true,
    },
    {
      name: 'a failure after the end',
      play: (attempt) => {
        attempt.end({ kind: 'completed' });
        attempt.responded(500);
        attempt.end({ kind: 'failed', failure: 'bad', error });
      },
      counts: false,
    },
  ];

  it.each(plays)('counts $name as a failure: $counts', async ({ play, counts }) => {
    expect((await breakerAfter(play)).state).toBe(counts ? 'open' : 'closed');
  });

  it('counts a 5xx that breaks off once', async () => {
    const breaker = new CircuitBreaker({ threshold: 2, windowMs: 10_000, cooldownMs: COOLDOWN_MS });
    const breaksOff: RequestHandler = (_req, res) => {
      const { attempt } = exchangeOf(res);
      attempt?.responded(500);
      attempt?.end({ kind: 'failed', failure: 'bad', error });
      res.end();
    };
    await using app = await bareApp([balances, circuitBreaker({ breakerFor: () => breaker }), breaksOff]);
    await call(app.url);
    expect(breaker.state).toBe('closed');
  });

  it('closes at the head of the trial, so that an endless response keeps nobody waiting', async () => {
    const clock = new ManualClock();
    const breaker = touchyBreaker(clock);
    breaker.tryAcquire('ann')?.fail('bad');
    clock.advance(COOLDOWN_MS);
    const endless: RequestHandler = (_req, res) => {
      exchangeOf(res).attempt?.responded(200);
      res.write('an endless ');
    };
    await using app = await bareApp([balances, circuitBreaker({ breakerFor: () => breaker }), endless]);
    const req = open(app.url).end();
    await answerTo(req);
    expect(breaker.state).toBe('closed');
    req.destroy();
  });

  it('gives the trial of a request that was abandoned to the next one', async () => {
    const clock = new ManualClock();
    const breaker = touchyBreaker(clock);
    breaker.tryAcquire('ann')?.fail('bad');
    clock.advance(COOLDOWN_MS);
    const abandons: RequestHandler = (_req, res) => {
      exchangeOf(res).attempt?.end({ kind: 'abandoned' });
      res.end();
    };
    await using app = await bareApp([balances, circuitBreaker({ breakerFor: () => breaker }), abandons]);
    expect((await call(app.url)).status).toBe(200);
    expect(breaker.state).toBe('half-open');
    expect((await call(app.url)).status).toBe(200);
  });

  it('ends the attempt of a request that it refuses', async () => {
    const breaker = touchyBreaker();
    breaker.tryAcquire('ann')?.fail('bad');
    const outcomes: string[] = [];
    const watches: RequestHandler = (_req, res, next) => {
      exchangeOf(res).attempt?.watch({ responded() {}, ended: ({ kind }) => void outcomes.push(kind) });
      next();
    };
    await using app = await bareApp([balances, watches, circuitBreaker({ breakerFor: () => breaker })]);
    await call(app.url);
    expect(outcomes).toEqual(['abandoned']);
  });
});
