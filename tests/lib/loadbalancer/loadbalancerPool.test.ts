import { describe, expect, it } from '@jest/globals';
import type { Listed } from '../../../lib/loadbalancer/listed.ts';
import { ReplicaPool, type ReplicaPoolOptions } from '../../../lib/loadbalancer/pool.ts';
import { Replica } from '../../../lib/loadbalancer/replica.ts';
import { LoadScan } from '../../../lib/threads/loadbalancer/loadScan.ts';
import { ThreadsReplica } from '../../../lib/threads/loadbalancer/threadsReplica.ts';
import { SharedCells } from '../../../lib/threads/sharedCells.ts';
import { ManualClock } from '../../support/manualClock.ts';
import { registered } from '../../support/upstreams/registered.ts';

function newPool(count: number, options: Partial<ReplicaPoolOptions> = {}): ReplicaPool {
  const replicas = Array.from({ length: count }, (_, i) => Replica.at(`http://r${i}`));
  return new ReplicaPool({ service: '/budgeting', replicas, ...options });
}

function newThreadsPool(count: number): ReplicaPool {
  const threadCount = 2;
  const replicas = Array.from({ length: count }, (_, i) => {
    const cells = new SharedCells(SharedCells.allocate(ThreadsReplica.sizeFor(threadCount)), 0);
    return ThreadsReplica.at(`http://r${i}`, { cells, threadNumber: 0, threadCount });
  });
  return newPool(0, { replicas, candidates: new LoadScan(Math.random) });
}

function listed(id: string, { healthy = true, requestCount = 0, port = 80 } = {}): Listed {
  const url = new URL(`http://${id}:${port}`);
  return { key: url.host, url, registered: registered(id, port), healthy, requestCount };
}

function take(pool: ReplicaPool, except?: Replica): Replica {
  const replica = pool.take((one) => one !== except);
  if (!replica) throw new Error('nobody can be taken');
  return replica;
}

function takeAndRelease(pool: ReplicaPool, times: number): void {
  for (let i = 0; i < times; i += 1) pool.release(take(pool));
}

function inFlight(pool: ReplicaPool): number[] {
  return pool.replicas.map((replica) => replica.inFlight);
}

function counts(pool: ReplicaPool): number[] {
  return pool.replicas.map(({ requestCount }) => requestCount);
}

function get(pool: ReplicaPool, id: string): Replica {
  const replica = pool.get(id);
  if (!replica) throw new Error(`${id} is not listed`);
  return replica;
}

describe('the pick', () => {
  it.each([0, 0.2, 0.5, 0.999])(
    'gives ten sequential requests 3, 4, 3 in some order (random %p)',
    (random) => {
      const pool = newPool(3, { random: () => random });
      takeAndRelease(pool, 10);
      expect(counts(pool).toSorted()).toEqual([3, 3, 4]);
    },
  );

  it('spreads requests under way evenly', () => {
    const pool = newPool(4);
    for (let i = 0; i < 40; i += 1) take(pool);
    expect(inFlight(pool)).toEqual([10, 10, 10, 10]);
  });

  it('goes by requests in flight first', () => {
    const pool = newPool(0);
    pool.update([listed('old', { requestCount: 1_000_000 }), listed('young')]);
    expect(take(pool).id).toBe('young');
    expect(take(pool).id).toBe('old');
  });

  it('goes by whose latest request began longest ago among equals, however many they have had', () => {
    const pool = newPool(0);
    pool.update([listed('a', { requestCount: 15 }), listed('b', { requestCount: 12 }), listed('c')]);
    const order = Array.from({ length: 9 }, () => {
      const replica = take(pool);
      pool.release(replica);
      return replica.id;
    });
    // To begin with they are asked in the order of their counts, as the original does.
    expect(order.join('')).toBe('cbacbacba');
  });

  it('falls first on one that waits for a trial, however busy or idle the others are', () => {
    const pool = newPool(3);
    const [first] = pool.replicas as [Replica];
    take(pool, undefined);
    while (first.inFlight < 2) take(pool);
    pool.admit(first.key, 'trial');
    expect(take(pool)).toBe(first);
  });

  it('falls on one that waits for a trial only for want of another, when a request has come to nothing once', () => {
    const pool = newPool(2);
    const [first, second] = pool.replicas as [Replica, Replica];
    pool.admit(first.key, 'trial');
    for (let i = 0; i < 3; i += 1) {
      expect(pool.another(() => true)).toBe(second);
      expect(pool.takeAnother(() => true)).toBe(second);
    }
    expect(pool.another((replica) => replica !== second)).toBe(first);
    expect(pool.takeAnother((replica) => replica !== second)).toBe(first);
  });

  it('falls on each of equals equally often', () => {
    const first = new Map<string, number>();
    for (let i = 0; i < 3000; i += 1) {
      const { id } = take(newPool(3));
      first.set(id, (first.get(id) ?? 0) + 1);
    }
    // Three standard deviations of a fair draw are 77.
    for (const times of first.values()) expect(Math.abs(times - 1000)).toBeLessThan(160);
  });

  it('avoids the one it is told to avoid, even when that is the least loaded', () => {
    const pool = newPool(3);
    const [first, second, third] = pool.replicas as [Replica, Replica, Replica];
    for (let i = 0; i < 6; i += 1) take(pool);
    pool.release(first);
    pool.release(third);
    pool.release(third);
    expect(take(pool, third)).toBe(first);
    expect(pool.another((one) => one !== second)).toBeDefined();
    expect(newPool(1).take()).toBeDefined();
  });

  it('takes nobody rather than the one to avoid', () => {
    const pool = newPool(1);
    const [only] = pool.replicas as [Replica];
    expect(pool.take((one) => one !== only)).toBeUndefined();
    expect(pool.another((one) => one !== only)).toBeUndefined();
    expect(only).toMatchObject({ inFlight: 0, requestCount: 0 });
  });

  it('never falls on one that admits nobody, whose requests under way go on', () => {
    const pool = newPool(2);
    const [first, second] = pool.replicas as [Replica, Replica];
    take(pool, second);
    pool.admit(first.id, 'none');
    expect([take(pool), take(pool)]).toEqual([second, second]);
    expect(first.inFlight).toBe(1);
    pool.release(first);
    pool.admit(first.id, 'all');
    expect(take(pool)).toBe(first);
  });

  it.each([
    ['one thread', (n: number) => newPool(n)],
    ['several threads', newThreadsPool],
  ])('never falls on one that fails its checks, with %s, even if there is no other', (_of, poolOf) => {
    const pool = poolOf(2);
    const [first, second] = pool.replicas as [Replica, Replica];
    take(pool, second);
    pool.letThrough(first.key, false);
    expect([take(pool), take(pool)]).toEqual([second, second]);
    expect(first).toMatchObject({ inFlight: 1, healthy: false, listedHealthy: true });
    pool.letThrough(second.key, false);
    expect(pool.take()).toBeUndefined();
    expect(pool.takeAnyway(() => true)).toBeUndefined();
    pool.letThrough('unknown', true);
    pool.letThrough(first.key, true);
    pool.admit(first.key, 'none');
    expect(pool.take()).toBeUndefined();
    pool.admit(first.key, 'all');
    expect(take(pool)).toBe(first);
  });

  it.each([
    ['one thread', (n: number) => newPool(n)],
    ['several threads', newThreadsPool],
  ])('falls on a suspended one for who asks no breaker, with %s, if there is no other', (_of, poolOf) => {
    const pool = poolOf(3);
    const [first, second, third] = pool.replicas as [Replica, Replica, Replica];
    pool.admit(first.key, 'none');
    pool.admit(second.key, 'trial');
    // A trial is for those who tell the breaker how it went.
    expect(pool.takeAnyway(() => true)).toBe(third);
    expect(pool.takeAnyway((one) => one !== third)).toBe(second);
    pool.admit(second.key, 'none');
    pool.admit(third.key, 'none');
    expect(pool.take()).toBeUndefined();
    expect(pool.takeAnyway(() => true)).toBe(first);
    expect(inFlight(pool)).toEqual([1, 1, 1]);
    expect(pool.takeAnyway((one) => one === second)).toBe(second);
    pool.release(second);
    first.listedHealthy = false;
    expect(pool.takeAnyway((one) => one === first)).toBeUndefined();
    expect(inFlight(pool)).toEqual([1, 1, 1]);
  });

  it('calls a replica that is listed by address after its host, with its port where that is taken', () => {
    const taken = new Set<string>();
    expect(Replica.at('http://budgeting:8087', taken)).toMatchObject({ id: 'budgeting', healthy: true });
    expect(Replica.at('http://budgeting:8088', taken).id).toBe('budgeting:8088');
    expect(Replica.at('http://[::1]:8087', taken).id).toBe('[::1]');
  });
});

describe('a listing', () => {
  it('takes the place of the static replicas', () => {
    const pool = newPool(2);
    pool.update([listed('a'), listed('b'), listed('c')]);
    expect(pool.replicas.map(({ id }) => id)).toEqual(['a', 'b', 'c']);
    expect(pool.get('r0')).toBeUndefined();
  });

  it('that is empty changes nothing', () => {
    const pool = newPool(2);
    pool.update([]);
    expect(pool.replicas).toHaveLength(2);
    pool.update([listed('a')]);
    pool.update([]);
    expect(take(pool).id).toBe('a');
  });

  it('keeps what is under way and the larger request count', () => {
    const pool = newPool(0);
    pool.update([listed('a', { requestCount: 5 })]);
    const a = take(pool);
    take(pool);
    pool.update([listed('a', { requestCount: 3 })]);
    expect(get(pool, 'a')).toBe(a);
    expect(a).toMatchObject({ inFlight: 2, requestCount: 7 });
    pool.update([listed('a', { requestCount: 90 })]);
    expect(a).toMatchObject({ inFlight: 2, requestCount: 90 });
  });

  it('gives nothing new to an unhealthy replica until it is healthy again', () => {
    const pool = newPool(0);
    pool.update([listed('a'), listed('b')]);
    const a = take(pool, get(pool, 'b'));
    pool.update([listed('a', { healthy: false }), listed('b')]);
    for (let i = 0; i < 5; i += 1) expect(take(pool).id).toBe('b');
    pool.release(a);
    pool.update([listed('a'), listed('b')]);
    expect(take(pool)).toBe(a);
  });

  it('lets nobody in whose breaker is open', () => {
    const pool = newPool(0);
    pool.update([listed('a')]);
    pool.admit('a', 'none');
    pool.update([listed('a'), listed('b')]);
    expect([take(pool).id, take(pool).id]).toEqual(['b', 'b']);
  });

  it('lets who leaves finish, then says that it is idle', () => {
    const departed: string[] = [];
    const idle: string[] = [];
    const pool = newPool(0, {
      onDeparted: ({ id }) => void departed.push(id),
      onIdle: ({ id }) => void idle.push(id),
    });
    pool.update([listed('busy'), listed('bored'), listed('stays')]);
    const busy = get(pool, 'busy');
    const under = [take(pool), take(pool), take(pool)].filter((replica) => replica === busy);
    pool.release(get(pool, 'bored'));
    pool.update([listed('stays')]);
    expect(departed).toEqual(['busy', 'bored']);
    expect(idle).toEqual(['bored']);
    for (const replica of under) pool.release(replica);
    expect(idle).toEqual(['bored', 'busy']);
    expect(busy.inFlight).toBe(0);
  });

  it('calls who comes after its host, with its port where that is taken, and never changes that', () => {
    const pool = newPool(0);
    const [first, second] = [listed('a', { port: 1000 }), listed('a', { port: 2000 })];
    const names = () => pool.replicas.map(({ key, id }) => [key, id]);
    pool.update([first, second]);
    expect(names()).toEqual([
      ['a:1000', 'a'],
      ['a:2000', 'a:2000'],
    ]);
    pool.update([second]);
    expect(names()).toEqual([['a:2000', 'a:2000']]);
    pool.update([first, second]);
    expect(names()).toEqual([
      ['a:2000', 'a:2000'],
      ['a:1000', 'a'],
    ]);
  });

  it('under another id means the replica that is known, with what is under way and counted', () => {
    const pool = newPool(0);
    pool.update([{ ...listed('a', { requestCount: 7 }), registered: registered('id-1') }]);
    const before = take(pool);
    pool.update([{ ...listed('a'), registered: registered('id-2') }]);
    expect(pool.replicas).toEqual([before]);
    expect(before).toMatchObject({ inFlight: 1, requestCount: 8, registered: { id: 'id-2' } });
  });

  it('takes two entries at one host and port for one replica, with the larger count', () => {
    const pool = newPool(0);
    pool.update([listed('a', { requestCount: 7 }), listed('a', { requestCount: 3, healthy: false })]);
    expect(pool.replicas).toMatchObject([{ healthy: false, requestCount: 7 }]);
  });

  it('makes a replica of the settings a listed one where it names the same host and port', () => {
    const pool = newPool(1);
    const [before] = pool.replicas;
    pool.update([listed('r0')]);
    expect(pool.replicas).toEqual([before]);
    expect(before?.listed).toBe(true);
  });

  it('with a known host at another port means another replica', () => {
    const idle: string[] = [];
    const pool = newPool(0, { onIdle: ({ url }) => void idle.push(url.origin) });
    pool.update([listed('a', { port: 1000 })]);
    const before = take(pool);
    pool.update([listed('a', { port: 2000 })]);
    const now = take(pool);
    expect([before.url.port, now.url.port]).toEqual(['1000', '2000']);
    pool.release(before);
    expect(idle).toEqual(['http://a:1000']);
    expect(now.inFlight).toBe(1);
  });

  it.each([
    { traffic: 'one by one', underWay: 1 },
    { traffic: 'thirty at a time', underWay: 30 },
  ])(
    'lets who joins or is back neither make up for what it missed nor get nothing: $traffic',
    ({ underWay }) => {
      const pool = newPool(0, { slowStartMs: 10_000, clock: new ManualClock() });
      pool.update([listed('a', { requestCount: 9_000 }), listed('b')]);
      const requests = queueOf(pool, underWay);
      requests.more(1000);
      pool.update([listed('a', { requestCount: 9_000 }), listed('b'), listed('new', { requestCount: 400 })]);
      const [a, b, joined] = pool.replicas as [Replica, Replica, Replica];
      const partOf = (replica: Replica, count: number) => {
        const before = replica.requestCount;
        requests.more(count);
        return (replica.requestCount - before) / count;
      };
      const least = underWay === 1 ? 0.3 : 0.02;
      for (const replica of [joined, b]) {
        const part = partOf(replica, 300);
        expect(part).toBeGreaterThan(least);
        expect(part).toBeLessThan(0.5);
      }
      pool.admit(a.key, 'none');
      requests.more(1000);
      pool.admit(a.key, 'all');
      const part = partOf(a, 300);
      expect(part).toBeGreaterThan(least);
      expect(part).toBeLessThan(0.5);
    },
  );

  it('gives none of three more than 40 % after a restart of the gateway, whatever they have had before', () => {
    const pool = newPool(0);
    pool.update([
      listed('old', { requestCount: 9_000 }),
      listed('new-1'),
      listed('new-2', { requestCount: 1 }),
    ]);
    const before = counts(pool);
    takeAndRelease(pool, 440);
    const had = counts(pool).map((count, i) => count - (before[i] as number));
    expect(had.toSorted()).toEqual([146, 147, 147]);
  });
});

/** Requests that are under way until as many others have begun. */
function queueOf(pool: ReplicaPool, underWay: number) {
  const begun: Replica[] = [];
  return {
    more(count: number): void {
      for (let i = 0; i < count; i += 1) {
        if (begun.length === underWay) pool.release(begun.shift() as Replica);
        begun.push(take(pool));
      }
    },
  };
}

describe('slow start', () => {
  it('is for a replica that comes back from failed checks, and for no other', () => {
    const clock = new ManualClock();
    const pool = newPool(2, { clock, slowStartMs: 10_000 });
    const [first, second] = pool.replicas as [Replica, Replica];
    pool.letThrough(first.key, true);
    expect(first.startStepsLeft).toBe(0);
    pool.letThrough(first.key, false);
    expect(first.startStepsLeft).toBe(0);
    pool.admit(second.key, 'none');
    pool.letThrough(second.key, false);
    pool.letThrough(second.key, true);
    // Its breaker still keeps requests away.
    expect(second.startStepsLeft).toBe(0);
    pool.letThrough(first.key, true);
    expect(first.startStepsLeft).toBe(9);
    clock.advance(10_000);
    expect(first.startStepsLeft).toBe(0);
  });

  const SLOW_START_MS = 10_000;

  function busyPool(clock: ManualClock, slowStartMs = SLOW_START_MS): ReplicaPool {
    const pool = newPool(0, { clock, slowStartMs });
    pool.update([listed('a'), listed('b')]);
    for (let i = 0; i < 40; i += 1) take(pool);
    return pool;
  }

  it('gives a newcomer a tenth of what the others have under way, to begin with', () => {
    const pool = busyPool(new ManualClock());
    pool.update([listed('a'), listed('b'), listed('new')]);
    for (let i = 0; i < 9; i += 1) take(pool);
    expect(get(pool, 'new').inFlight).toBe(3);
  });

  it('lets it catch up as time goes by', () => {
    const clock = new ManualClock();
    const pool = busyPool(clock);
    pool.update([listed('a'), listed('b'), listed('new')]);
    clock.advance(SLOW_START_MS / 2);
    for (let i = 0; i < 12; i += 1) take(pool);
    expect(get(pool, 'new').inFlight).toBe(12);
    clock.advance(SLOW_START_MS);
    for (let i = 0; i < 8; i += 1) take(pool);
    expect(inFlight(pool)).toEqual([20, 20, 20]);
    expect(clock.pending).toBe(0);
  });

  it('keeps nothing from it once nobody is busy any more', () => {
    const pool = busyPool(new ManualClock());
    pool.update([listed('a'), listed('b'), listed('new')]);
    for (const replica of pool.replicas) while (replica.inFlight > 0) pool.release(replica);
    takeAndRelease(pool, 30);
    expect(get(pool, 'new').requestCount).toBe(10);
  });

  it('is for those that come back, too', () => {
    const pool = busyPool(new ManualClock());
    const b = get(pool, 'b');
    pool.admit('b', 'none');
    while (b.inFlight > 0) pool.release(b);
    pool.admit('b', 'all');
    for (let i = 0; i < 4; i += 1) take(pool);
    expect(inFlight(pool)).toEqual([21, 3]);
  });

  it('begins anew for one that comes back before it has caught up', () => {
    const clock = new ManualClock();
    const pool = busyPool(clock);
    const b = get(pool, 'b');
    const comeBack = () => {
      pool.admit('b', 'none');
      pool.admit('b', 'all');
    };
    comeBack();
    clock.advance(SLOW_START_MS * 0.15);
    expect(b.startStepsLeft).toBe(8);
    comeBack();
    expect(b.startStepsLeft).toBe(9);
    // Here the next step of the first start would fall.
    clock.advance(SLOW_START_MS * 0.05);
    expect(b.startStepsLeft).toBe(9);
    clock.advance(SLOW_START_MS * 0.05);
    expect(b.startStepsLeft).toBe(8);
  });

  it('is no affair of a trial, and begins when that went well', () => {
    const pool = busyPool(new ManualClock());
    const b = get(pool, 'b');
    pool.admit('b', 'none');
    pool.admit('b', 'trial');
    expect(b.startStepsLeft).toBe(0);
    pool.admit('b', 'none');
    pool.admit('b', 'all');
    expect(b.startStepsLeft).toBe(9);
  });

  it('can be turned off', () => {
    const pool = busyPool(new ManualClock(), 0);
    pool.update([listed('a'), listed('b'), listed('new')]);
    for (let i = 0; i < 20; i += 1) take(pool);
    expect(inFlight(pool)).toEqual([20, 20, 20]);
  });
});
