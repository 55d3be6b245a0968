import { describe, expect, it } from '@jest/globals';
import type { RequestHandler } from 'express';
import { type ConcurrencyOptions, concurrency, countIdentity } from '../../../lib/concurrency/middleware.ts';
import { Semaphore } from '../../../lib/concurrency/semaphore.ts';
import { exchangeOf, type Identity } from '../../../lib/exchange/exchange.ts';
import { answerTo, open } from '../../support/clients/client.ts';
import { eventually } from '../../support/eventually.ts';
import { type BareApp, bareApp } from '../../support/gateway/bareApp.ts';
import { ManualClock } from '../../support/manualClock.ts';
import { neverCalled } from '../../support/neverCalled.ts';

const AFTER_MS = 10_000;

/** The limits of one service, all of one size, and a clock that the test moves. */
function limitsOf(size: number, fairShare = 1) {
  const clock = new ManualClock();
  const permits = () => new Semaphore({ limit: size, fairShare, clock });
  const streams = { service: permits(), gateway: permits(), afterMs: AFTER_MS };
  return { clock, service: permits(), gateway: permits(), streams };
}

const keeps: RequestHandler = () => {};

/** Sends a request as somebody. */
function sends(app: BareApp, user = 'somebody') {
  const answer = answerTo(open(app.url, { headers: { 'X-User': user } }).end());
  // Some tests end before it comes.
  answer.catch(() => {});
  return answer;
}

describe('a response that lasts', () => {
  async function withOne(limits: ReturnType<typeof limitsOf>, more: Partial<ConcurrencyOptions> = {}) {
    const app = await bareApp([concurrency({ ...limits, ...more }), keeps]);
    void sends(app);
    await eventually('it is admitted', () => limits.service.held === 1);
    return app;
  }

  it('is a stream once it has lasted for afterMs', async () => {
    const limits = limitsOf(1);
    await using app = await withOne(limits);
    app.responses[0]?.write('first');
    limits.clock.advance(AFTER_MS - 1);
    expect([limits.service.held, limits.streams.service.held]).toEqual([1, 0]);
    limits.clock.advance(1);
    expect([limits.service.held, limits.gateway.held]).toEqual([0, 0]);
    expect([limits.streams.service.held, limits.streams.gateway.held]).toEqual([1, 1]);
    app.responses[0]?.end();
    await eventually('it is over', () => limits.streams.service.held === 0);
    expect(limits.streams.gateway.held).toBe(0);
    limits.clock.advance(AFTER_MS);
    expect(limits.clock.pending).toBe(0);
  });

  it('is none before it has begun', async () => {
    const limits = limitsOf(1);
    await using app = await withOne(limits);
    limits.clock.advance(AFTER_MS);
    expect([limits.service.held, limits.streams.service.held]).toEqual([1, 0]);
    app.responses[0]?.write('first');
    limits.clock.advance(AFTER_MS);
    expect([limits.service.held, limits.streams.service.held]).toEqual([0, 1]);
  });

  it('goes on as a request while there is no permit for streams', async () => {
    const limits = limitsOf(1);
    const taken = limits.streams.gateway.tryAcquire();
    await using app = await withOne(limits, { onLimitReached: neverCalled('onLimitReached') });
    app.responses[0]?.write('first');
    limits.clock.advance(AFTER_MS);
    expect([limits.service.held, limits.streams.service.held]).toEqual([1, 0]);
    if (typeof taken === 'object') taken.release();
    limits.clock.advance(AFTER_MS);
    expect([limits.service.held, limits.streams.service.held]).toEqual([0, 1]);
  });

  it('stays a request where streams have no limits', async () => {
    const { clock, service } = limitsOf(1);
    await using app = await bareApp([concurrency({ service, clock }), keeps]);
    void sends(app);
    await eventually('it is admitted', () => service.held === 1);
    app.responses[0]?.write('first');
    clock.advance(AFTER_MS);
    expect(service.held).toBe(1);
    expect(app.exchanges[0]?.admission?.becomeStream()).toBeUndefined();
    expect(service.held).toBe(1);
  });

  it.each(['service', 'gateway'] as const)(
    'that asks to be a stream is told that the %s has no room',
    async (owner) => {
      const limits = limitsOf(1);
      limits.streams[owner].tryAcquire();
      let refusals = 0;
      const onLimitReached = () => {
        refusals += 1;
      };
      await using app = await withOne(limits, { onLimitReached });
      expect(app.exchanges[0]?.admission?.becomeStream()).toMatchObject({
        code: 'streams_busy',
        message: `the ${owner} is already at its limit of 1 open streams`,
      });
      expect(refusals).toBe(1);
      expect(limits.service.held).toBe(1);
    },
  );
});

describe('a request whose user is known', () => {
  const identify: RequestHandler = (req, res, next) => {
    exchangeOf(res).identity = { key: String(req.headers['x-user']) } as Identity;
    next();
  };

  async function serving(limits: ReturnType<typeof limitsOf>, onLimitReached = () => {}) {
    const limited = concurrency({ ...limits, callerOf: () => 'address', onLimitReached });
    return await bareApp([limited, identify, countIdentity(), keeps]);
  }

  it.each(['service', 'gateway'] as const)('is counted for the user, by the %s too', async (owner) => {
    const limits = limitsOf(100);
    const fair = new Semaphore({ limit: 4, fairShare: 0.5, keepsRoom: true, clock: limits.clock });
    let refusals = 0;
    await using app = await serving({ ...limits, [owner]: fair }, () => {
      refusals += 1;
    });
    for (const user of ['ann', 'ann', 'bob']) {
      void sends(app, user);
      await eventually('it is there', () => app.exchanges.at(-1)?.identity?.key === user);
    }
    await eventually('all are there', () => fair.held === 3);
    expect(refusals).toBe(0);
    expect((await sends(app, 'ann')).statusCode).toBe(429);
    expect(app.errors).toEqual([expect.objectContaining({ code: 'fair_share_used' })]);
    expect(app.errors[0]?.message).toBe(
      `the caller holds its share of the 4 concurrent requests that the ${owner} allows`,
    );
    expect(refusals).toBe(1);
  });

  it('is counted for the user as a stream, too', async () => {
    const limits = limitsOf(100);
    const fair = new Semaphore({ limit: 4, fairShare: 0.5, keepsRoom: true, clock: limits.clock });
    limits.streams.service = fair;
    await using app = await serving(limits);
    for (const user of ['ann', 'ann', 'ann', 'bob']) {
      void sends(app, user);
      await eventually('it is there', () => app.exchanges.at(-1)?.identity?.key === user);
    }
    await eventually('all are there', () => app.responses.length === 4);
    const refusals = app.exchanges.map(({ admission }) => admission?.becomeStream());
    const refused = expect.objectContaining({ code: 'fair_share_used' });
    expect(refusals).toEqual([undefined, undefined, refused, undefined]);
  });

  it('is counted for nobody once it is over', async () => {
    const limits = limitsOf(1);
    await using app = await serving(limits);
    void sends(app, 'ann');
    await eventually('it is admitted', () => limits.service.held === 1);
    app.responses[0]?.end();
    await eventually('it is over', () => limits.service.held === 0);
    const admission = app.exchanges[0]?.admission;
    expect(admission?.countFor('bob')).toBeUndefined();
    expect(admission?.becomeStream()).toBeUndefined();
    expect([limits.service.held, limits.streams.service.held]).toEqual([0, 0]);
  });
});
