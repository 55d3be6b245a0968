import { describe, expect, it } from '@jest/globals';
import type { RequestHandler, Response } from 'express';
import { exchangeOf } from '../lib/exchange/exchange.ts';
import { NoHealthyReplicaError } from '../lib/loadbalancer/errors.ts';
import { leastLoaded } from '../lib/loadbalancer/leastLoad.ts';
import { balance } from '../lib/loadbalancer/middleware.ts';
import { Replica, ReplicaPool } from '../lib/loadbalancer/pool.ts';
import { answers, bareApp } from './support/bareApp.ts';
import { BrokenListener } from './support/brokenListener.ts';
import { call, open } from './support/client.ts';
import { eventually } from './support/eventually.ts';
import { neverCalled } from './support/neverCalled.ts';

const anyReplica = () => true;

interface Load {
  readonly id: string;
  readonly healthy: boolean;
  readonly inFlight: number;
  readonly requestCount: number;
}

function load(id: string, inFlight = 0, requestCount = 0, healthy = true): Load {
  return { id, healthy, inFlight, requestCount };
}

function newPool(count: number, random?: () => number): ReplicaPool {
  const replicas = Array.from({ length: count }, (_, i) => new Replica(`r${i}`, new URL(`http://r${i}`)));
  return new ReplicaPool({ service: '/budgeting', replicas, random });
}

describe('leastLoaded', () => {
  const choices: { name: string; among: Load[]; eligible?: (load: Load) => boolean; out?: string }[] = [
    { name: 'nobody among none', among: [] },
    { name: 'the only one', among: [load('a', 9, 9)], out: 'a' },
    { name: 'the one with fewest in flight', among: [load('a', 2), load('b', 1), load('c', 3)], out: 'b' },
    {
      name: 'fewest in flight before fewest requests',
      among: [load('a', 1, 0), load('b', 0, 1_000_000)],
      out: 'b',
    },
    {
      name: 'of equals in flight, the one with fewest requests',
      among: [load('a', 1, 5), load('b', 1, 4)],
      out: 'b',
    },
    { name: 'no unhealthy one', among: [load('a', 0, 0, false), load('b', 9, 9)], out: 'b' },
    { name: 'nobody when all are unhealthy', among: [load('a', 0, 0, false), load('b', 0, 0, false)] },
    {
      name: 'no ineligible one',
      among: [load('a'), load('b', 5)],
      eligible: ({ id }) => id !== 'a',
      out: 'b',
    },
    { name: 'nobody when none is eligible', among: [load('a'), load('b')], eligible: () => false },
  ];

  it.each(choices)('chooses $name', ({ among, eligible = anyReplica, out }) => {
    expect(leastLoaded(among, eligible, Math.random)?.id).toBe(out);
  });

  it('does not ask about unhealthy ones', () => {
    leastLoaded([load('a', 0, 0, false)], neverCalled('eligible'), Math.random);
  });

  it('asks for no random number when nobody ties', () => {
    leastLoaded([load('a', 1), load('b', 2), load('c', 3)], anyReplica, neverCalled('random'));
  });

  // The k-th of n equals is kept with probability 1/n: counted over every sequence of two draws on a grid.
  it('breaks ties uniformly', () => {
    const grid = Array.from({ length: 60 }, (_, i) => (i + 0.5) / 60);
    const chosen: Record<string, number> = { a: 0, b: 0, c: 0 };
    for (const first of grid) {
      for (const second of grid) {
        const draws = [first, second];
        const winner = leastLoaded(
          [load('a'), load('b'), load('c'), load('d', 1)],
          anyReplica,
          () => draws.shift() ?? 0,
        );
        if (winner) chosen[winner.id] = (chosen[winner.id] ?? 0) + 1;
      }
    }
    expect(chosen).toEqual({ a: 1_200, b: 1_200, c: 1_200 });
  });

  it('looks at each of 10,000 replicas once', () => {
    let looks = 0;
    const replicas = Array.from({ length: 10_000 }, (_, i) => load(`r${i}`, i % 7, i));
    leastLoaded(
      replicas,
      () => {
        looks += 1;
        return true;
      },
      Math.random,
    );
    expect(looks).toBe(10_000);
  });
});

describe('ReplicaPool', () => {
  it.each([0, 0.2, 0.5, 0.999])(
    'gives ten sequential requests 3, 4, 3 in some order (random %p)',
    (random) => {
      const pool = newPool(3, () => random);
      for (let i = 0; i < 10; i += 1) {
        const replica = pool.take(anyReplica);
        if (replica) replica.inFlight -= 1;
      }
      const counts = pool.replicas.map(({ requestCount }) => requestCount);
      expect(counts.toSorted()).toEqual([3, 3, 4]);
    },
  );

  it('spreads requests under way evenly', () => {
    const pool = newPool(4);
    for (let i = 0; i < 40; i += 1) pool.take(anyReplica);
    expect(pool.replicas.map(({ inFlight }) => inFlight)).toEqual([10, 10, 10, 10]);
  });

  it('does not flood a new replica under load', () => {
    const pool = newPool(3);
    const [first, second, fresh] = pool.replicas as [Replica, Replica, Replica];
    Object.assign(first, { inFlight: 5, requestCount: 1_000 });
    Object.assign(second, { inFlight: 5, requestCount: 1_000 });
    for (let i = 0; i < 11; i += 1) pool.take(anyReplica);
    expect([first.inFlight, second.inFlight, fresh.inFlight].toSorted()).toEqual([7, 7, 7]);
  });

  it('counts nothing when nobody can be taken', () => {
    const pool = newPool(2);
    expect(pool.take(() => false)).toBeUndefined();
    expect(pool.replicas).toEqual([
      expect.objectContaining({ inFlight: 0, requestCount: 0 }),
      expect.objectContaining({ inFlight: 0, requestCount: 0 }),
    ]);
  });

  it('calls a replica that is listed by address by its host and port', () => {
    expect(Replica.at('http://budgeting:8087')).toMatchObject({ id: 'budgeting:8087', healthy: true });
    expect(Replica.at('http://[::1]:8087').id).toBe('[::1]:8087');
  });
});

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
      balance({ pool, onSelected: (replica) => void selected.push(replica) }),
      looks,
      answers(),
    ]);
    expect((await call(app.url)).status).toBe(200);
    expect(chosen).toBe('r0');
    expect(selected).toEqual(pool.replicas);
  });

  it('gives ten sequential requests over three replicas 3, 4, 3', async () => {
    const pool = newPool(3);
    await using app = await bareApp([balance({ pool }), answers()]);
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
    await using app = await bareApp([balance({ pool }), keeps]);
    const calls = [1, 2, 3, 4].map(() => call(app.url));
    await eventually('four', () => kept.length === 4);
    expect(pool.replicas.map(({ inFlight }) => inFlight)).toEqual([2, 2]);
    for (const res of kept) res.end();
    await Promise.all(calls);
  });

  const nobody: { name: string; pool: ReplicaPool; eligible?: () => boolean }[] = [
    { name: 'there is no replica', pool: newPool(0) },
    {
      name: 'none is healthy',
      pool: new ReplicaPool({
        service: '/budgeting',
        replicas: [Object.assign(Replica.at('http://a'), { healthy: false })],
      }),
    },
    { name: 'none is eligible', pool: newPool(2), eligible: () => false },
  ];

  it.each(nobody)('answers NoHealthyReplicaError when $name', async ({ pool, eligible }) => {
    await using app = await bareApp([balance({ pool, eligible }), neverCalled('the next handler')]);
    expect((await call(app.url)).status).toBe(503);
    expect(app.errors).toEqual([expect.any(NoHealthyReplicaError)]);
    expect(app.errors[0]).toMatchObject({ code: 'no_healthy_replica', retryAfterMs: 5000 });
  });

  it('lets its user name the error when healthy replicas exist but none is eligible', async () => {
    const pool = newPool(3);
    Object.assign(pool.replicas[0] ?? {}, { healthy: false });
    let among: readonly Replica[] = [];
    await using app = await bareApp(
      balance({
        pool,
        eligible: () => false,
        noneEligible: (healthy) => {
          among = healthy;
          return Object.assign(new Error('all open'), { status: 503, code: 'circuit_open' });
        },
      }),
    );
    expect((await call(app.url)).status).toBe(503);
    expect(app.errors[0]?.message).toBe('all open');
    expect(among.map(({ id }) => id)).toEqual(['r1', 'r2']);
  });

  it('is not broken by a listener that throws', async () => {
    using broken = new BrokenListener();
    const pool = newPool(1);
    await using app = await bareApp([balance({ pool, onSelected: broken.listen }), answers()]);
    expect((await call(app.url)).status).toBe(200);
  });
});

describe('balance counts a replica as free again', () => {
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
    await using app = await bareApp([balance({ pool }), ends]);
    await call(app.url).catch(() => {});
    await eventually('the end', () => app.responses[0]?.closed);
    expect(pool.replicas[0]?.inFlight).toBe(0);
  });

  it('when the client leaves', async () => {
    const pool = newPool(1);
    await using app = await bareApp([balance({ pool }), () => {}]);
    const req = open(app.url).end();
    await eventually('one in flight', () => pool.replicas[0]?.inFlight === 1);
    req.destroy();
    await eventually('none in flight', () => pool.replicas[0]?.inFlight === 0);
  });

  it('when a second try went to another replica', async () => {
    const pool = newPool(2);
    const again = balance({ pool });
    const fails: RequestHandler = (_req, res, next) => {
      exchangeOf(res).attempt?.end({ kind: 'failed', error: new Error('refused') });
      next();
    };
    await using app = await bareApp([balance({ pool }), fails, again, answers()]);
    await call(app.url);
    await eventually('the end', () => app.responses[0]?.closed);
    expect(pool.replicas.map(({ inFlight, requestCount }) => [inFlight, requestCount])).toEqual([
      [0, 1],
      [0, 1],
    ]);
  });
});
