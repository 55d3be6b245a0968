import { describe, expect, it } from '@jest/globals';
import type { RequestHandler, Response } from 'express';
import { ConcurrencyLimitError } from '../../../lib/concurrency/errors.ts';
import { concurrency } from '../../../lib/concurrency/middleware.ts';
import { isPermit } from '../../../lib/concurrency/permits.ts';
import { Semaphore } from '../../../lib/concurrency/semaphore.ts';
import { exchangeOf } from '../../../lib/exchange/exchange.ts';
import { BrokenListener } from '../../support/brokenListener.ts';
import { call, open } from '../../support/clients/client.ts';
import { eventually } from '../../support/eventually.ts';
import { answers, type BareApp, bareApp } from '../../support/gateway/bareApp.ts';
import { neverCalled } from '../../support/neverCalled.ts';

/** A handler that keeps its requests until the test answers them. */
function keeper(): { keep: RequestHandler; kept: Response[] } {
  const kept: Response[] = [];
  return { kept, keep: (_req, res) => void kept.push(res) };
}

async function arrived({ responses }: BareApp, count: number): Promise<void> {
  await eventually(`${count} requests`, () => responses.length === count);
}

describe('concurrency', () => {
  it('admits up to the limit and refuses the rest with 429', async () => {
    const service = new Semaphore({ limit: 2 });
    const { keep, kept } = keeper();
    let refusals = 0;
    const onLimitReached = () => {
      refusals += 1;
    };
    await using app = await bareApp([concurrency({ service, onLimitReached }), keep]);
    const admitted = [call(app.url), call(app.url)];
    await eventually('both inside', () => kept.length === 2);

    expect((await call(app.url)).status).toBe(429);
    expect(app.errors).toEqual([expect.any(ConcurrencyLimitError)]);
    expect(app.errors[0]).toMatchObject({
      name: 'ConcurrencyLimitError',
      code: 'service_busy',
      status: 429,
      retryAfterMs: 1000,
      message: 'the service is already at its limit of 2 concurrent requests',
    });
    expect(refusals).toBe(1);
    for (const res of kept) res.end();
    expect((await Promise.all(admitted)).map(({ status }) => status)).toEqual([200, 200]);
  });

  it('tells how many it has when one of them becomes a stream, too', async () => {
    const service = new Semaphore({ limit: 2 });
    const streams = {
      service: new Semaphore({ limit: 2 }),
      gateway: new Semaphore({ limit: 2 }),
      afterMs: 1000,
    };
    const held: number[] = [];
    const stream: RequestHandler = (_req, res) => {
      expect(exchangeOf(res).admission?.becomeStream()).toBeUndefined();
      expect(held).toEqual([1, 0]);
      res.end();
    };
    await using app = await bareApp([
      concurrency({ service, streams, onChange: (count) => void held.push(count) }),
      stream,
    ]);
    expect((await call(app.url)).status).toBe(200);
    await eventually('it is over', () => streams.service.held === 0);
    expect(held).toEqual([1, 0, 0]);
  });

  it.each([0, -1, 1.5, 2 ** 31, Number.NaN])(
    'refuses to make streams of responses after %p ms',
    (afterMs) => {
      const limit = new Semaphore({ limit: 2 });
      expect(() => concurrency({ streams: { service: limit, gateway: limit, afterMs } })).toThrow(
        new RangeError(`concurrency: streams.afterMs must be a whole number 1..2147483647, got ${afterMs}`),
      );
    },
  );

  it('limits concurrency, not rate', async () => {
    const service = new Semaphore({ limit: 1 });
    await using app = await bareApp([concurrency({ service }), answers()]);
    for (let i = 0; i < 20; i += 1) expect((await call(app.url)).status).toBe(200);
  });

  it('says when it is the gateway that is full, and gives the permit of the service back', async () => {
    const service = new Semaphore({ limit: 5 });
    const gateway = new Semaphore({ limit: 1 });
    const { keep, kept } = keeper();
    await using app = await bareApp([concurrency({ service, gateway }), keep]);
    const admitted = call(app.url);
    await eventually('one inside', () => kept.length === 1);
    expect((await call(app.url)).status).toBe(429);
    expect(app.errors[0]).toMatchObject({ code: 'gateway_busy' });
    expect(service.held).toBe(1);
    kept[0]?.end();
    await admitted;
    await eventually('none held', () => service.held + gateway.held === 0);
  });

  it('lets a busy service keep no permits of the others', async () => {
    const gateway = new Semaphore({ limit: 2 });
    const busy = new Semaphore({ limit: 1, queue: 10 });
    const { keep, kept } = keeper();
    await using busyApp = await bareApp([concurrency({ service: busy, gateway }), keep]);
    await using otherApp = await bareApp([
      concurrency({ service: new Semaphore({ limit: 1 }), gateway }),
      answers(),
    ]);
    const calls = [1, 2, 3, 4].map(() => call(busyApp.url));
    await eventually('three waiting', () => busy.waiting === 3);
    expect((await call(otherApp.url)).status).toBe(200);
    for (let i = 0; i < 4; i += 1) {
      await eventually('the next', () => kept.length > i);
      kept[i]?.end();
    }
    await Promise.all(calls);
  });

  it('calls the next handler without waiting when a permit is free', async () => {
    const order: string[] = [];
    const middleware = concurrency({
      service: new Semaphore({ limit: 1 }),
      gateway: new Semaphore({ limit: 1 }),
    });
    const synchronous: RequestHandler = (req, res, next) => {
      middleware(req, res, (error?: unknown) => {
        order.push('inside');
        next(error);
      });
      order.push('after');
    };
    await using app = await bareApp([synchronous, answers()]);
    await call(app.url);
    expect(order).toEqual(['inside', 'after']);
  });

  it('tells how many are inside whenever that changes', async () => {
    const counts: number[] = [];
    const service = new Semaphore({ limit: 2 });
    const onChange = (held: number) => void counts.push(held);
    await using app = await bareApp([concurrency({ service, onChange }), answers()]);
    await call(app.url);
    await eventually('both changes', () => counts.length === 2);
    expect(counts).toEqual([1, 0]);
  });

  it('keeps no permit when listeners throw', async () => {
    using broken = new BrokenListener();
    const service = new Semaphore({ limit: 1 });
    const listeners = { onChange: broken.listen, onLimitReached: broken.listen };
    const { keep, kept } = keeper();
    await using app = await bareApp([concurrency({ service, ...listeners }), keep]);
    const admitted = call(app.url);
    await eventually('one inside', () => kept.length === 1);
    expect((await call(app.url)).status).toBe(429);
    kept[0]?.end();
    expect((await admitted).status).toBe(200);
    await eventually('none held', () => service.held === 0);
  });
});

describe('concurrency gives the permit back', () => {
  const endings: { name: string; end: (res: Response) => void }[] = [
    { name: 'when the answer is complete', end: (res) => void res.end() },
    {
      name: 'when the response is cut short',
      end: (res) => void res.write('a beginning', () => res.destroy()),
    },
    { name: 'when nothing was answered', end: (res) => void res.destroy() },
    { name: 'when the handler fails', end: (res) => res.req.next?.(new Error('broken')) },
  ];

  it.each(endings)('$name', async ({ end }) => {
    const service = new Semaphore({ limit: 1 });
    const gateway = new Semaphore({ limit: 1 });
    const { keep, kept } = keeper();
    await using app = await bareApp([concurrency({ service, gateway }), keep]);
    const req = open(app.url).end();
    await eventually('one inside', () => kept.length === 1);
    expect([service.held, gateway.held]).toEqual([1, 1]);
    end(kept[0] as Response);
    await eventually('none held', () => service.held + gateway.held === 0);
    req.destroy();
  });

  it('when the client leaves', async () => {
    const service = new Semaphore({ limit: 1 });
    const { keep, kept } = keeper();
    await using app = await bareApp([concurrency({ service }), keep]);
    const req = open(app.url).end();
    await eventually('one inside', () => kept.length === 1);
    req.destroy();
    await eventually('none held', () => service.held === 0);
    kept[0]?.end('nobody reads this');
    expect(service.held).toBe(0);
  });

  it('when its client left while the permit was on its way', async () => {
    const service = new Semaphore({ limit: 1, queue: 1 });
    const permit = service.tryAcquire();
    await using app = await bareApp([concurrency({ service }), neverCalled('the next handler')]);
    const req = open(app.url).end();
    await eventually('one waiting', () => service.waiting === 1);
    // The permit is granted in the same moment in which the answer closes: nobody is left to use it.
    Object.defineProperty(app.responses[0], 'closed', { value: true });
    if (isPermit(permit)) permit.release();
    await eventually('none held', () => service.held === 0);
    req.destroy();
  });
});

describe('concurrency with a queue', () => {
  it('lets requests wait their turn', async () => {
    const service = new Semaphore({ limit: 1, queue: 2 });
    const { keep, kept } = keeper();
    await using app = await bareApp([concurrency({ service }), keep]);
    const first = call(app.url, { path: '/1' });
    await arrived(app, 1);
    const second = call(app.url, { path: '/2' });
    await eventually('one waiting', () => service.waiting === 1);
    const third = call(app.url, { path: '/3' });
    await eventually('two waiting', () => service.waiting === 2);
    expect((await call(app.url)).status).toBe(429);

    for (const [i, answer] of [first, second, third].entries()) {
      await eventually('its turn', () => kept.length > i);
      kept[i]?.end(kept[i]?.req.path);
      expect((await answer).body.toString()).toBe(`/${i + 1}`);
    }
  });

  it('frees the place of a client that leaves, and tells nobody', async () => {
    const service = new Semaphore({ limit: 1, queue: 1 });
    const permit = service.tryAcquire();
    await using app = await bareApp([concurrency({ service }), answers()]);
    const leaver = open(app.url).end();
    await eventually('one waiting', () => service.waiting === 1);
    leaver.destroy();
    await eventually('none waiting', () => service.waiting === 0);

    const next = call(app.url);
    await eventually('the next waiting', () => service.waiting === 1);
    if (isPermit(permit)) permit.release();
    expect((await next).status).toBe(200);
    expect(app.errors).toEqual([]);
  });

  it('lets whoever ends a waiting request reply, once', async () => {
    const service = new Semaphore({ limit: 1, queue: 1 });
    service.tryAcquire();
    const deadline: RequestHandler = (_req, _res, next) => {
      next();
      const error = Object.assign(new Error('too late'), { status: 504 });
      app.exchanges[0]?.abort(error, 'settled');
      next(error);
    };
    await using app = await bareApp([deadline, concurrency({ service }), answers()]);
    expect((await call(app.url)).status).toBe(504);
    expect(app.errors).toHaveLength(1);
    expect(service.waiting).toBe(0);
  });

  it('passes on why the gateway ended a waiting request', async () => {
    const service = new Semaphore({ limit: 1, queue: 1 });
    service.tryAcquire();
    await using app = await bareApp([concurrency({ service }), answers()]);
    const answer = call(app.url);
    await eventually('one waiting', () => service.waiting === 1);
    app.exchanges[0]?.abort(Object.assign(new Error('draining'), { status: 503 }));
    expect((await answer).status).toBe(503);
  });
});
