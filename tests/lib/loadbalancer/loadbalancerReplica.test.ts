import { describe, expect, it } from '@jest/globals';
import { Replica } from '../../../lib/loadbalancer/replica.ts';
import { ThreadsReplica } from '../../../lib/threads/loadbalancer/threadsReplica.ts';
import { alone } from '../../../lib/threads/ownCells.ts';
import { SharedCells } from '../../../lib/threads/sharedCells.ts';

const THREAD_COUNT = 3;

function shared(): ThreadsReplica {
  const cells = new SharedCells(SharedCells.allocate(ThreadsReplica.sizeFor(THREAD_COUNT)), 1);
  return ThreadsReplica.at('http://a:1', { cells, threadNumber: 1, threadCount: THREAD_COUNT });
}

const KINDS: readonly [of: string, make: () => Replica][] = [
  ['one thread', () => Replica.at('http://a:1')],
  ['several threads', shared],
  [
    'several threads, in cells of its own',
    () => ThreadsReplica.at('http://a:1', alone(ThreadsReplica.sizeFor(1))),
  ],
];

it('what a replica of several threads is told in one of them, the others see', () => {
  const buffer = SharedCells.allocate(ThreadsReplica.sizeFor(2));
  const [here, there] = [0, 1].map((threadNumber) =>
    ThreadsReplica.at('http://a:1', {
      cells: new SharedCells(buffer, threadNumber),
      threadNumber,
      threadCount: 2,
    }),
  ) as [ThreadsReplica, ThreadsReplica];
  here.begin(5);
  const told = {
    heardAtMs: 1.5,
    silentFromMs: 2.5,
    silentUntilMs: 3.5,
    silentCaller: 7,
    admission: 'none' as const,
  };
  Object.assign(here, told);
  expect(there).toMatchObject({ ...told, inFlight: 1, isIdle: true, requestCount: 1, turn: 5 });
});

it('a replica of several threads begins nothing from an outdated look', () => {
  const replica = shared();
  expect(replica.beginAt(1, 3)).toBe(false);
  expect(replica).toMatchObject({ inFlight: 0, requestCount: 0, turn: 0 });
  expect(replica.beginAt(0, 3)).toBe(true);
  expect(replica).toMatchObject({ inFlight: 1, requestCount: 1, turn: 3 });
});

describe.each(KINDS)('a replica of %s', (_of, make) => {
  it('is told apart by its host and port, and called after its host', () => {
    expect(make()).toMatchObject({ key: 'a:1', id: 'a', listed: false });
    expect(make().url.origin).toBe('http://a:1');
  });

  it('begins with nothing to do, healthy and available', () => {
    expect(make()).toMatchObject({
      inFlight: 0,
      isIdle: true,
      requestCount: 0,
      turn: 0,
      startStepsLeft: 0,
      healthy: true,
      admission: 'all',
      load: 0,
      available: true,
    });
  });

  it('counts what is begun and ended', () => {
    const replica = make();
    replica.begin(3);
    replica.begin(8);
    replica.end();
    expect(replica).toMatchObject({ inFlight: 1, isIdle: false, requestCount: 2, turn: 8 });
  });

  it('counts each request for several while it starts slowly, and is idle all the same when it is', () => {
    const replica = make();
    replica.startStepsLeft = 9;
    expect(replica.load).toBe(0);
    replica.begin(1);
    expect(replica.load).toBe(10);
    replica.startStepsLeft = 5;
    expect(replica.load).toBe(2);
    replica.begin(2);
    replica.begin(3);
    expect(replica.load).toBe(6);
    replica.startStepsLeft = 0;
    expect(replica.load).toBe(3);
  });

  it('comes before any other while it waits for a trial', () => {
    const replica = make();
    replica.begin(1);
    replica.startStepsLeft = 9;
    replica.admission = 'trial';
    expect(replica.load).toBeLessThan(0);
  });

  it.each([
    [false, 'all', false],
    [false, 'none', false],
    [true, 'none', false],
    [true, 'trial', true],
    [true, 'all', true],
  ] as const)('healthy %s and admitting %s: available %s', (healthy, admission, available) => {
    const replica = make();
    replica.listedHealthy = healthy;
    replica.admission = admission;
    expect(replica).toMatchObject({ healthy, admission, available });
  });

  it.each([
    [false, false],
    [false, true],
    [true, false],
    [true, true],
  ])('listed as healthy %s and passing checks %s: healthy if both', (listedHealthy, passesChecks) => {
    const replica = make();
    replica.listedHealthy = false;
    replica.passesChecks = false;
    replica.listedHealthy = listedHealthy;
    replica.passesChecks = passesChecks;
    const healthy = listedHealthy && passesChecks;
    expect(replica).toMatchObject({ listedHealthy, passesChecks, healthy, available: healthy });
  });

  it('has its request count raised, never lowered', () => {
    const replica = make();
    replica.raiseRequestCount(7);
    replica.raiseRequestCount(3);
    expect(replica.requestCount).toBe(7);
  });

  it('keeps when it responded and since when it is silent, fractions too', () => {
    const replica = make();
    expect(replica).toMatchObject({
      heardAtMs: 0,
      tookMs: 0,
      silentFromMs: 0,
      silentUntilMs: 0,
      silentCaller: 0,
    });
    const times = {
      heardAtMs: 1.5,
      tookMs: 0.5,
      silentFromMs: 2.25,
      silentUntilMs: 3.5,
      silentCaller: Number.NaN,
    };
    expect(Object.assign(replica, times)).toMatchObject(times);
  });

  it('counts on past what a whole number of 32 bits holds', () => {
    const replica = make();
    replica.raiseRequestCount(5_000_000_000);
    replica.begin(1);
    expect(replica.requestCount).toBe(5_000_000_001);
  });
});
