import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { completeService } from '../../../config/routes/complete.ts';
import {
  type ReplicaThreads,
  ServiceReplicas,
  type SharedReplica,
} from '../../../gateway/wiring/services/replicas.ts';
import type { Permit } from '../../../lib/circuitbreaker/contract.ts';
import { compare, type Rank } from '../../../lib/loadbalancer/choice/candidates.ts';
import type { Replica } from '../../../lib/loadbalancer/replica.ts';
import type { CellsSize, Share } from '../../../lib/threads/cells.ts';
import { SharedCells } from '../../../lib/threads/sharedCells.ts';
import { cases } from '../../support/cases.ts';
import { ManualClock } from '../../support/manualClock.ts';
import { registered } from '../../support/upstreams/registered.ts';

const COOLDOWN_MS = 30_000;
const CALLERS = ['ann', 'ben', 'eve'] as const;
const NAMES = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'] as const;

/** What may happen to a gateway, in any order. */
const anyStep = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('request' as const),
      avoid: fc.nat(NAMES.length),
      caller: fc.constantFrom(...CALLERS),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('end' as const),
      which: fc.nat(50),
      how: fc.constantFrom('succeed', 'fail', 'be refused', 'abandon', 'succeed, then fail'),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.nat(COOLDOWN_MS + 5000) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('listing' as const),
      ids: fc.subarray([...NAMES]),
      unhealthy: fc.subarray([...NAMES]),
      requestCount: fc.nat(1000),
      moved: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('news' as const),
      id: fc.constantFrom(...NAMES),
      verdict: fc.constantFrom('absent', 'bad', 'recovered'),
    }),
  },
);

type Step = typeof anyStep extends fc.Arbitrary<infer S> ? S : never;

interface UnderWay {
  readonly member: ServiceReplicas;
  readonly replica: Replica;
  readonly permit: Permit;
}

/** Replicas with their breakers, driven step by step; each step checks what must always hold. */
class World {
  readonly clock = new ManualClock();
  readonly underWay: UnderWay[] = [];
  readonly openedAtMs = new Map<string, number>();
  /** How long breakers were open that were left alone. */
  readonly cooldownsMs: number[] = [];
  readonly wereIdle: boolean[] = [];
  /** Hears of listings first and tells the others. */
  readonly main: ServiceReplicas;
  /** Who takes requests, in turn. */
  readonly members: readonly ServiceReplicas[];
  #turn = 0;
  #waits = false;

  /** @param threads how many take requests, beside the main one; 0: the main one alone, without anything shared */
  constructor(threads: number) {
    this.main = this.#newReplicas(threads === 0 ? undefined : threadsFor(0, threads + 1));
    this.members =
      threads === 0
        ? [this.main]
        : Array.from({ length: threads }, (_, i) => {
            const threadNumber = i + 1;
            const replicas = seenFrom(threadNumber, this.main.shared);
            return this.#newReplicas({ ...threadsFor(threadNumber, threads + 1), replicas });
          });
  }

  #newReplicas(threads: ReplicaThreads | undefined): ServiceReplicas {
    return new ServiceReplicas({
      service: completeService(
        { name: 'x', path: '/x', upstreams: ['http://a:80', 'http://b:80'] },
        {
          concurrency: 10,
          streams: 10,
          requestTimeoutMs: 3000,
          idleTimeoutMs: 10_000,
          maxBodyBytes: 0,
          cacheTtlMs: 'off',
          rates: [],
          breaker: { threshold: 3, ratio: 0.5, windowMs: 10_500, cooldownMs: COOLDOWN_MS },
        },
      ),
      threshold: 3,
      windowMs: 10_500,
      cooldownMs: COOLDOWN_MS,
      slowStartMs: 5000,
      threads,
      clock: this.clock,
      random: () => 0.5,
      onBreakerEvent: (event, { replica: { key } }) => {
        if (event.kind !== 'transition') return;
        const sinceMs = this.openedAtMs.get(key) ?? Number.NaN;
        if (event.from === 'open' && this.#waits) this.cooldownsMs.push(this.clock.ticks() - sinceMs);
        if (event.from === 'closed' && event.failure === 'bad') this.#checkHalf();
        if (event.to === 'open') this.openedAtMs.set(key, this.clock.ticks());
      },
      onDeparted: () => {},
      onIdle: ({ isIdle }) => void this.wereIdle.push(isIdle),
    });
  }

  do(step: Step): void {
    if (step.kind === 'request') this.#request(step.avoid, step.caller);
    else if (step.kind === 'end') this.#end(step.which, step.how);
    else if (step.kind === 'wait') this.#wait(step.ms);
    else if (step.kind === 'listing') this.#listing(step);
    else this.#news(step);
    this.#check();
  }

  finish(): void {
    while (this.underWay.length > 0) this.#end(0, 'abandon');
    this.clock.advance(10 * COOLDOWN_MS);
    for (const { inFlight, available, healthy, startStepsLeft } of this.main.pool.replicas) {
      expect({ inFlight, available, startStepsLeft }).toEqual({
        inFlight: 0,
        available: healthy,
        startStepsLeft: 0,
      });
    }
    for (const replicas of [this.main, ...this.members]) replicas.dispose();
  }

  #nextMember(): ServiceReplicas {
    this.#turn += 1;
    return this.members[this.#turn % this.members.length] as ServiceReplicas;
  }

  #wait(ms: number): void {
    this.#waits = true;
    this.clock.advance(ms);
    this.#waits = false;
  }

  /** Of several replicas at most half are open for their responses. */
  #checkHalf(): void {
    const { replicas } = this.main.pool;
    const bad = replicas.filter(({ key }) => this.main.breakerOf(key).failure === 'bad');
    expect(bad.length).toBeLessThanOrEqual(Math.max(1, Math.floor(replicas.length / 2)));
  }

  #request(avoid: number, caller: string): void {
    const member = this.#nextMember();
    const { pool } = member;
    const avoided = avoid === 0 ? undefined : pool.replicas[avoid - 1];
    const possible = pool.replicas.filter((replica) => replica !== avoided && this.#mayBeAsked(replica));
    const ranks = new Map(possible.map((one) => [one, rankOf(one)]));
    const [first] = [...ranks.values()].toSorted(compare);
    const replica = pool.take((one) => one !== avoided);
    expect(replica === undefined).toBe(possible.length === 0);
    if (!replica) return;
    expect(possible).toContain(replica);
    expect(ranks.get(replica)).toEqual(first);
    for (const { turn } of ranks.values()) expect(replica.turn).toBeGreaterThan(turn);
    const breaker = member.breakerOf(replica.key);
    const isAdmitted = breaker.admitsCaller(caller);
    const permit = breaker.tryAcquire(caller);
    expect(permit !== undefined).toBe(isAdmitted);
    if (!permit) {
      expect(breaker.state).toBe('open');
      pool.release(replica);
      return;
    }
    this.underWay.push({ member, replica, permit });
  }

  #mayBeAsked({ key, healthy }: Replica): boolean {
    return healthy && this.main.breakerOf(key).admits;
  }

  #end(which: number, how: string): void {
    const [ended] = this.underWay.splice(which % Math.max(1, this.underWay.length), 1);
    if (!ended) return;
    const { member, permit, replica } = ended;
    if (how === 'abandon') permit.abandon();
    if (how.startsWith('succeed')) permit.succeed();
    if (how.endsWith('fail')) permit.fail('bad');
    if (how === 'be refused') permit.fail('absent');
    member.pool.release(replica);
  }

  #listing({ ids, unhealthy, requestCount, moved }: Extract<Step, { kind: 'listing' }>): void {
    const port = moved ? 81 : 80;
    this.main.update(
      ids.map((id) => ({
        ...placeOf(id, port),
        healthy: !unhealthy.includes(id),
        requestCount,
      })),
    );
    for (const [i, member] of this.members.entries()) {
      if (member !== this.main) member.update(seenFrom(i + 1, this.main.shared));
    }
  }

  #news({ id, verdict }: Extract<Step, { kind: 'news' }>): void {
    const member = this.#nextMember();
    const replica = member.pool.replicas.find((one) => one.id === id);
    if (!replica) return;
    const breaker = member.breakerOf(replica.key);
    if (verdict === 'recovered') breaker.hintRecovered();
    else breaker.hintFailing(verdict);
  }

  #check(): void {
    const { pool } = this.main;
    expect(pool.replicas.length).toBeGreaterThan(0);
    expect(this.cooldownsMs.every((ms) => ms === COOLDOWN_MS)).toBe(true);
    expect(this.wereIdle.every((isIdle) => isIdle)).toBe(true);
    for (const replica of pool.replicas) {
      const mine = this.underWay.filter(
        (request) =>
          request.member.pool.get(replica.key) === request.replica && request.replica.key === replica.key,
      );
      expect(replica.inFlight).toBe(mine.length);
      expect(replica.requestCount).toBeGreaterThanOrEqual(0);
      expect(replica.startStepsLeft).toBeGreaterThanOrEqual(0);
      expect(replica.admission).toBe(this.main.breakerOf(replica.key).admission);
    }
  }
}

function placeOf(host: string, port: number): Pick<Replica, 'key' | 'url' | 'registered'> {
  const url = new URL(`http://${host}:${port}`);
  return { key: url.host, url, registered: registered(host, port) };
}

/** What a thread of this number makes for others. */
function threadsFor(threadNumber: number, threadCount: number): ReplicaThreads {
  const newShare = (size: CellsSize) => ({
    cells: new SharedCells(SharedCells.allocate(size), threadNumber),
    threadNumber,
    threadCount,
  });
  return { threadCount, newShare, openings: newShare({ whole: 0 }) };
}

/** What one thread shares, as another one gets it by message. */
function seenFrom(threadNumber: number, replicas: readonly SharedReplica[]): SharedReplica[] {
  const seen = ({ cells, threadCount }: Share): Share => {
    return { cells: new SharedCells((cells as SharedCells).buffer, threadNumber), threadNumber, threadCount };
  };
  return replicas.map((replica) => {
    return { ...replica, counts: seen(replica.counts), breaker: seen(replica.breaker) };
  });
}

function rankOf({ load, turn, requestCount }: Replica): Rank {
  return { load, due: 0, turn, requestCount };
}

describe('replicas, whatever happens in whatever order', () => {
  it.each([
    { by: 'one thread alone', threads: 0 },
    { by: 'three threads together', threads: 3 },
  ])(
    'are only asked by $by when they may be, one trial at a time, and every count comes back to zero',
    ({ threads }) => {
      fc.assert(
        fc.property(fc.array(anyStep, { minLength: 1, maxLength: 120 }), (steps) => {
          const world = new World(threads);
          for (const step of steps) world.do(step);
          world.finish();
          expect(world.clock.pending).toBe(0);
        }),
        cases(500),
      );
    },
  );
});

it('a breaker that another thread has opened stands in the way of its caller at once', () => {
  const world = new World(2);
  const [first, second] = world.members as [ServiceReplicas, ServiceReplicas];
  const [replica] = first.pool.replicas as [Replica];
  for (let n = 0; n < 3; n += 1) first.breakerOf(replica.id).tryAcquire('ann')?.fail('absent');
  world.clock.advance(COOLDOWN_MS);
  first.breakerOf(replica.id).tryAcquire('ann')?.fail('bad');
  expect(first.breakerOf(replica.id).admits).toBe(true);
  // Nobody has asked this thread for the breaker before.
  expect(second.isClosed(replica.id)).toBe(false);
  for (const replicas of [world.main, first, second]) replicas.dispose();
});
