import { describe, expect, it } from '@jest/globals';
import type { Listed } from '../../../../lib/loadbalancer/listed.ts';
import { ReplicaPool, type ReplicaPoolOptions } from '../../../../lib/loadbalancer/pool.ts';
import { Replica } from '../../../../lib/loadbalancer/replica.ts';
import { LoadScan } from '../../../../lib/threads/loadbalancer/loadScan.ts';
import { ThreadsReplica } from '../../../../lib/threads/loadbalancer/threadsReplica.ts';
import { SharedCells } from '../../../../lib/threads/sharedCells.ts';
import { ManualClock } from '../../../support/manualClock.ts';
import { registered } from '../../../support/upstreams/registered.ts';

const THREADS = 2;

function newCounts() {
  const cells = new SharedCells(SharedCells.allocate(ThreadsReplica.sizeFor(THREADS)), 0);
  return { cells, threadNumber: 0, threadCount: THREADS };
}

interface Kind {
  readonly kind: string;
  readonly pool: (
    weights: readonly (number | undefined)[],
    more?: Partial<ReplicaPoolOptions>,
  ) => ReplicaPool;
}

function originOf(index: number): string {
  return `http://r${index}`;
}

function weightsOf(weights: readonly (number | undefined)[]): Record<string, number> {
  const given = weights.flatMap((weight, i) =>
    weight === undefined ? [] : [[originOf(i), weight] as const],
  );
  return Object.fromEntries(given);
}

const KINDS: readonly Kind[] = [
  {
    kind: 'one thread',
    pool: (weights, more) =>
      new ReplicaPool({
        service: '/a',
        replicas: weights.map((_, i) => Replica.at(originOf(i))),
        weights: weightsOf(weights),
        ...more,
      }),
  },
  {
    kind: 'several threads',
    pool: (weights, more) =>
      new ReplicaPool({
        service: '/a',
        replicas: weights.map((_, i) => ThreadsReplica.at(originOf(i), newCounts())),
        newReplica: (listed) => new ThreadsReplica(listed, newCounts()),
        candidates: new LoadScan(Math.random),
        weights: weightsOf(weights),
        ...more,
      }),
  },
];

/** Numbers of the replicas that take so many requests, with so many under way at a time. */
function taken(pool: ReplicaPool, times: number, atATime = 1): number[] {
  const counts = pool.replicas.map(() => 0);
  const underWay: Replica[] = [];
  for (let i = 0; i < times; i += 1) {
    const replica = pool.take();
    if (!replica) throw new Error('nobody can be taken');
    const index = pool.replicas.indexOf(replica);
    counts[index] = (counts[index] ?? 0) + 1;
    underWay.push(replica);
    if (underWay.length >= atATime) pool.release(underWay.shift() as Replica);
  }
  for (const replica of underWay) pool.release(replica);
  return counts;
}

function listed(index: number, weight?: number): Listed {
  const url = new URL(originOf(index));
  const about = { key: url.host, url, registered: registered(url.hostname, 80) };
  return { ...about, healthy: true, requestCount: 0, ...(weight !== undefined && { weight }) };
}

it('weights hold for the requests of two threads together', () => {
  const counts = [0, 1, 2].map(() => SharedCells.allocate(ThreadsReplica.sizeFor(THREADS)));
  const pools = [0, 1].map((threadNumber) => {
    const replicas = counts.map((buffer, i) => {
      const cells = new SharedCells(buffer, threadNumber);
      return ThreadsReplica.at(originOf(i), { cells, threadNumber, threadCount: THREADS });
    });
    const weights = weightsOf([5, 3, 2]);
    return new ReplicaPool({ service: '/a', replicas, weights, candidates: new LoadScan(() => 0.5) });
  });
  for (let i = 0; i < 1000; i += 1) {
    const ours = pools[i % 3 === 0 ? 0 : 1] as ReplicaPool;
    ours.release(ours.take() as Replica);
  }
  expect(pools[0]?.replicas.map(({ requestCount }) => requestCount)).toEqual([500, 300, 200]);
});

describe.each(KINDS)('weights in $kind', ({ pool }) => {
  it.each([
    { weights: [9, 1], times: 100, counts: [90, 10] },
    { weights: [1, 2, 3], times: 600, counts: [100, 200, 300] },
    { weights: [1000, 1], times: 1001, counts: [1000, 1] },
    { weights: [undefined, 3], times: 40, counts: [10, 30] },
  ])('deal out $times requests one after another by $weights', ({ weights, times, counts }) => {
    expect(taken(pool(weights), times)).toEqual(counts);
  });

  it('deal them out smoothly: two requests of ten in a row are never next to each other at the rare one', () => {
    const ours = pool([9, 1]);
    const order = Array.from({ length: 200 }, () => taken(ours, 1)[1]).join('');
    expect(order).not.toMatch(/10{0,7}1|0{11}/);
  });

  it.each([2, 5, 10, 50])('hold with %p requests under way at a time', (atATime) => {
    const [first = 0, second = 0, third = 0] = taken(pool([5, 3, 2]), 1000, atATime);
    expect(Math.abs(first - 500)).toBeLessThanOrEqual(50);
    expect(Math.abs(second - 300)).toBeLessThanOrEqual(50);
    expect(Math.abs(third - 200)).toBeLessThanOrEqual(50);
  });

  it('spread what is under way by their parts', () => {
    const ours = pool([5, 3, 2]);
    for (let i = 0; i < 100; i += 1) ours.take();
    expect(ours.replicas.map(({ inFlight }) => inFlight)).toEqual([50, 30, 20]);
  });

  it('keep new requests from a replica that does not end its own', () => {
    const ours = pool([2, 1]);
    const [slow] = ours.replicas as [Replica];
    for (let i = 0; i < 100; i += 1) {
      const replica = ours.take() as Replica;
      if (replica !== slow) ours.release(replica);
    }
    // Two are a load of 1, which the idle one never has.
    expect(slow.inFlight).toBe(2);
  });

  it('change nothing while they are all the same', () => {
    const order = (weights: readonly (number | undefined)[]) => {
      const ours = pool(weights, { random: () => 0.5 });
      for (const [i, replica] of ours.replicas.entries()) replica.raiseRequestCount(i);
      return Array.from({ length: 30 }, (_, i) => {
        const replica = ours.take() as Replica;
        if (i % 3 !== 0) ours.release(replica);
        return replica.id;
      });
    };
    expect(order([7, 7, 7])).toEqual(order([undefined, undefined, undefined]));
  });

  it('of 0 get nothing as long as another can take it', () => {
    const ours = pool([1, 0, 1]);
    expect(taken(ours, 100, 10)).toEqual([50, 0, 50]);
    for (const key of ['r0', 'r2']) ours.admit(key, 'none');
    expect(taken(ours, 10)).toEqual([0, 10, 0]);
    ours.admit('r0', 'all');
    expect(taken(ours, 10)).toEqual([10, 0, 0]);
  });

  it('of 0 let a replica make no trial as long as another can take the request', () => {
    const ours = pool([1, 0]);
    ours.admit('r1', 'trial');
    expect(taken(ours, 5)).toEqual([5, 0]);
  });

  it('of 0 for all are the same for all', () => {
    expect(taken(pool([0, 0]), 10)).toEqual([5, 5]);
  });

  it('of a registry count before those of the settings, which hold where it says none', () => {
    const ours = pool([1, 1]);
    ours.update([listed(0, 3), listed(1)]);
    expect(taken(ours, 40)).toEqual([30, 10]);
    ours.update([listed(0), listed(1)]);
    expect(taken(ours, 40)).toEqual([20, 20]);
  });

  it('are anew by those that are listed', () => {
    const ours = pool([10, 1, 1]);
    ours.update([listed(1), listed(2)]);
    expect(taken(ours, 10)).toEqual([5, 5]);
    ours.update([listed(1), listed(2), listed(3, 2)]);
    expect(taken(ours, 40)).toEqual([10, 10, 20]);
  });

  it('let a newcomer that starts slowly have a tenth of its part first, and in the end all of it', () => {
    const clock = new ManualClock();
    const ours = pool([1, 1], { slowStartMs: 10_000, clock });
    ours.update([listed(0, 1), listed(1, 1)]);
    ours.update([listed(0, 1), listed(1, 1), listed(2, 2)]);
    const [, , young = 0] = taken(ours, 2_200);
    // A tenth of 2 beside 1 and 1.
    expect(Math.abs(young - 200)).toBeLessThanOrEqual(1);
    clock.advance(10_000);
    expect(taken(ours, 400)[2]).toBe(200);
  });
});
