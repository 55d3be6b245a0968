import { describe, expect, it } from '@jest/globals';
import type { RequestHandler, Response } from 'express';
import { exchangeOf } from '../../../lib/exchange/exchange.ts';
import { NoHealthyReplicaError } from '../../../lib/loadbalancer/errors.ts';
import { loadBalancer } from '../../../lib/loadbalancer/middleware.ts';
import { ReplicaPool } from '../../../lib/loadbalancer/pool.ts';
import { Replica } from '../../../lib/loadbalancer/replica.ts';
import { BrokenListener } from '../../support/brokenListener.ts';
import { call, open } from '../../support/clients/client.ts';
import { eventually } from '../../support/eventually.ts';
import { answers, bareApp } from '../../support/gateway/bareApp.ts';
import { neverCalled } from '../../support/neverCalled.ts';

function newPool(count: number): ReplicaPool {
  const replicas = Array.from({ length: count }, (_, i) => Replica.at(`http://r${i}`));
  return new ReplicaPool({ service: '/budgeting', replicas });
}

function poolOf(...states: Partial<Pick<Replica, 'listedHealthy' | 'admission'>>[]): ReplicaPool {
  const replicas = states.map((state, i) => Object.assign(Replica.at(`http://r${i}`), state));
  return new ReplicaPool({ service: '/budgeting', replicas });
}

describe('balance', () => {
  it('chooses a replica and says which', async () => {
    const pool = newPool(1);
    const selected: Replica[] = [];
    let chosen = '';
    const looks: RequestHandler = (_req, res, next) => {
      chosen = exchangeOf(res).attempt?.target.id ?? '';
      next();
    };
    await using app = await bareApp([
      loadBalancer({ pool, onSelected: (replica) => void selected.push(replica) }),
      looks,
      answers(),
    ]);
    expect((await call(app.url)).status).toBe(200);
    expect(chosen).toBe('r0');
    expect(selected).toEqual(pool.replicas);
  });

  it('gives ten sequential requests over three replicas 3, 4, 3', async () => {
    const pool = newPool(3);
    await using app = await bareApp([loadBalancer({ pool }), answers()]);
    for (let i = 0; i < 10; i += 1) {
      await call(app.url);
      await eventually('the end', () => app.responses[i]?.closed);
    }
    expect(pool.replicas.map(({ requestCount }) => requestCount).toSorted()).toEqual([3, 3, 4]);
  });

  it('takes the least loaded of those that are busy', async () => {
    const pool = newPool(2);
    const kept: Response[] = [];
    const keeps: RequestHandler = (_req, res) => void kept.push(res);
    await using app = await bareApp([loadBalancer({ pool }), keeps]);
    const calls = [1, 2, 3, 4].map(() => call(app.url));
    await eventually('four', () => kept.length === 4);
    expect(pool.replicas.map(({ inFlight }) => inFlight)).toEqual([2, 2]);
    for (const res of kept) res.end();
    await Promise.all(calls);
  });

  const nobody = [
    { name: 'there is no replica', pool: newPool(0) },
    { name: 'none is healthy', pool: poolOf({ listedHealthy: false }) },
    { name: 'all are suspended', pool: poolOf({ admission: 'none' }) },
  ];

  it.each(nobody)('answers NoHealthyReplicaError when $name', async ({ pool }) => {
    await using app = await bareApp([loadBalancer({ pool }), neverCalled('the next handler')]);
    expect((await call(app.url)).status).toBe(503);
    expect(app.errors).toEqual([expect.any(NoHealthyReplicaError)]);
    expect(app.errors[0]).toMatchObject({ code: 'no_healthy_replica', retryAfterMs: 5000 });
  });

  it('lets its user name the error when all healthy replicas are suspended', async () => {
    const pool = poolOf({ listedHealthy: false }, { admission: 'none' }, { admission: 'none' });
    let among: readonly Replica[] = [];
    const allSuspended = (suspended: readonly Replica[]) => {
      among = suspended;
      return Object.assign(new Error('all open'), { status: 503, code: 'circuit_open' });
    };
    await using app = await bareApp(loadBalancer({ pool, allSuspended }));
    expect((await call(app.url)).status).toBe(503);
    expect(app.errors[0]?.message).toBe('all open');
    expect(among.map(({ id }) => id)).toEqual(['r1', 'r2']);
  });

  it('is not broken by a listener that throws', async () => {
    using broken = new BrokenListener();
    const pool = newPool(1);
    await using app = await bareApp([loadBalancer({ pool, onSelected: broken.listen }), answers()]);
    expect((await call(app.url)).status).toBe(200);
  });
});

describe('loadBalancer counts a replica as free again', () => {
  const endings: { name: string; end: (res: Response) => void }[] = [
    { name: 'when the answer is complete', end: (res) => void res.end() },
    { name: 'when the answer is cut short', end: (res) => void res.write('a', () => res.destroy()) },
    { name: 'when the next handler fails', end: (res) => res.req.next?.(new Error('broken')) },
    {
      name: 'when the attempt ends, once',
      end: (res) => {
        exchangeOf(res).attempt?.end({ kind: 'completed' });
        exchangeOf(res).attempt?.end({ kind: 'abandoned' });
        res.end();
      },
    },
  ];

  it.each(endings)('$name', async ({ end }) => {
    const pool = newPool(1);
    const ends: RequestHandler = (_req, res) => end(res);
    await using app = await bareApp([loadBalancer({ pool }), ends]);
    await call(app.url).catch(() => {});
    await eventually('the end', () => app.responses[0]?.closed);
    expect(pool.replicas[0]?.inFlight).toBe(0);
  });

  it('when the client leaves', async () => {
    const pool = newPool(1);
    await using app = await bareApp([loadBalancer({ pool }), () => {}]);
    const req = open(app.url).end();
    await eventually('one in flight', () => pool.replicas[0]?.inFlight === 1);
    req.destroy();
    await eventually('none in flight', () => pool.replicas[0]?.inFlight === 0);
  });

  it('when a second try went to another replica', async () => {
    const pool = newPool(2);
    const again = loadBalancer({ pool });
    const fails: RequestHandler = (_req, res, next) => {
      exchangeOf(res).attempt?.end({ kind: 'failed', failure: 'bad', error: new Error('refused') });
      next();
    };
    await using app = await bareApp([loadBalancer({ pool }), fails, again, answers()]);
    await call(app.url);
    await eventually('the end', () => app.responses[0]?.closed);
    expect(pool.replicas.map(({ inFlight, requestCount }) => [inFlight, requestCount])).toEqual([
      [0, 1],
      [0, 1],
    ]);
  });
});
