import { beforeEach, describe, expect, it } from '@jest/globals';
import { Attempt } from '../../../../lib/exchange/attempt.ts';
import { ReplicaPool } from '../../../../lib/loadbalancer/pool.ts';
import { Replica } from '../../../../lib/loadbalancer/replica.ts';
import { Absence } from '../../../../lib/loadbalancer/retry/absence.ts';
import { ThreadsReplica } from '../../../../lib/threads/loadbalancer/threadsReplica.ts';
import { SharedCells } from '../../../../lib/threads/sharedCells.ts';
import { ManualClock } from '../../../support/manualClock.ts';

const DEADLINE_MS = 3000;

function ofThreads(origin: string): Replica {
  const cells = new SharedCells(SharedCells.allocate(ThreadsReplica.sizeFor(2)), 0);
  return ThreadsReplica.at(origin, { cells, threadNumber: 0, threadCount: 2 });
}

describe.each([
  ['one thread', (origin: string) => Replica.at(origin)],
  ['several threads', ofThreads],
])('Absence, by replicas of %s', (_of, at) => {
  let clock: ManualClock;
  let a: Replica;
  let b: Replica;
  let absence: Absence;

  beforeEach(() => {
    clock = new ManualClock();
    a = at('http://a:1');
    b = at('http://b:1');
    const pool = new ReplicaPool({ service: '/x', replicas: [a, b], clock });
    absence = new Absence({ pool, deadlineMs: DEADLINE_MS, clock });
  });

  function begin(replica = a): Attempt {
    return new Attempt(replica, { startedAtMs: clock.ticks() });
  }

  function responds(replica: Replica): void {
    replica.heardAtMs = clock.ticks();
  }

  /** The deadline of a try is over. */
  function late(attempt: Attempt, caller = 'ann'): boolean {
    return absence.judge(attempt, caller);
  }

  /** Another replica responded to the same request. */
  function lost(attempt: Attempt, caller = 'ann'): boolean {
    attempt.lose();
    return absence.judge(attempt, caller);
  }

  it.each([
    ['by a name and its address', ['ann', 'here'], ['here', 'here'], false],
    ['by an address and a name there', ['here', 'here'], ['ann', 'here'], false],
    ['by two names of one address', ['ann', 'here'], ['bob', 'here'], true],
    ['by two addresses', ['ann', 'here'], ['there', 'there'], true],
  ] as const)('%s, who have waited in vain: one person or several', (_by, first, second, isAbsent) => {
    const [one, other] = [begin(), begin()];
    clock.advance(DEADLINE_MS);
    expect(absence.judge(one, first[0], { address: first[1] })).toBe(false);
    expect(absence.judge(other, second[0], { address: second[1] })).toBe(isAbsent);
  });

  it('a try without a response for a whole deadline, while another replica responds: absent', () => {
    const attempt = begin();
    clock.advance(1000);
    responds(b);
    clock.advance(2000);
    expect(late(attempt)).toBe(true);
  });

  it('not by one caller while others are served: they are sent where less is under way', () => {
    const attempt = begin();
    clock.advance(1000);
    responds(b);
    clock.advance(2000);
    expect(absence.judge(attempt, 'ann', { othersAreServed: () => true })).toBe(false);
  });

  it('takes a little less for a whole deadline: a try begins after its request', () => {
    const attempt = begin();
    clock.advance(1000);
    responds(b);
    clock.advance(1710);
    expect(late(attempt)).toBe(true);
  });

  it('not one that had less than a deadline', () => {
    const attempt = begin();
    clock.advance(1000);
    responds(b);
    clock.advance(1600);
    expect(late(attempt)).toBe(false);
  });

  it('not one that has responded to anybody meanwhile', () => {
    const attempt = begin();
    clock.advance(500);
    responds(a);
    responds(b);
    clock.advance(2500);
    expect(late(attempt)).toBe(false);
  });

  it('however many slow responses one caller asks for who is alone: not absent', () => {
    const tries = [begin(a), begin(a), begin(b), begin(b)];
    clock.advance(DEADLINE_MS);
    expect(tries.map((attempt) => late(attempt))).toEqual([false, false, false, false]);
    const more = [begin(a), begin(b)];
    clock.advance(DEADLINE_MS);
    expect(more.map((attempt) => late(attempt))).toEqual([false, false]);
  });

  it('when a second caller has waited in vain as well: absent, for whoever comes then too', () => {
    const tries = [begin(), begin()];
    clock.advance(DEADLINE_MS);
    expect([late(tries[0] as Attempt, 'ann'), late(tries[1] as Attempt, 'bob')]).toEqual([false, true]);
    const next = begin();
    clock.advance(DEADLINE_MS);
    expect(late(next, 'ann')).toBe(true);
  });

  it('not by a second caller of another time: it has responded in between', () => {
    const first = begin();
    clock.advance(DEADLINE_MS);
    expect(late(first, 'ann')).toBe(false);
    responds(a);
    const second = begin();
    clock.advance(DEADLINE_MS);
    expect(late(second, 'bob')).toBe(false);
  });

  it('not by a second caller after a pause, in which it owed nothing', () => {
    const first = begin();
    clock.advance(DEADLINE_MS);
    expect(late(first, 'ann')).toBe(false);
    clock.advance(301);
    const second = begin();
    clock.advance(DEADLINE_MS);
    expect(late(second, 'bob')).toBe(false);
  });

  it('a try that is lost after half of a deadline is not enough', () => {
    const attempt = begin();
    clock.advance(1500);
    responds(b);
    expect(lost(attempt)).toBe(false);
  });

  it('lost tries that follow each other for a whole deadline: absent', () => {
    const first = begin();
    clock.advance(1500);
    expect(lost(first)).toBe(false);
    clock.advance(5);
    const second = begin();
    clock.advance(1500);
    expect(lost(second)).toBe(true);
  });

  it('a lost try is owed for one more deadline: the next one goes on from it', () => {
    const first = begin();
    clock.advance(1500);
    expect(lost(first)).toBe(false);
    clock.advance(DEADLINE_MS);
    const second = begin();
    clock.advance(1500);
    expect(lost(second)).toBe(true);
  });

  it('and not after that', () => {
    const first = begin();
    clock.advance(1500);
    expect(lost(first)).toBe(false);
    clock.advance(DEADLINE_MS + 301);
    const second = begin();
    clock.advance(1500);
    expect(lost(second)).toBe(false);
  });

  it('a try whose client has left is never asked about, and adds nothing', () => {
    begin();
    clock.advance(1500);
    // Its client has left.
    const second = begin();
    clock.advance(1500);
    expect(lost(second)).toBe(false);
  });

  it("goes by the longer of two deadlines, the service's or that of the request itself", () => {
    const judge = (attempt: Attempt, caller: string, deadlineMs: number) =>
      absence.judge(attempt, caller, { deadlineMs });
    // Nobody with little patience makes a replica absent.
    for (const caller of ['ann', 'bob', 'eve']) {
      const hasty = begin();
      clock.advance(DEADLINE_MS / 10);
      expect(judge(hasty, caller, DEADLINE_MS / 10)).toBe(false);
    }
    clock.advance(DEADLINE_MS);
    // A replica that is given longer may take it, although another one has responded to the same request.
    const patient = begin();
    clock.advance(DEADLINE_MS * 5);
    responds(b);
    patient.lose();
    expect(judge(patient, 'ann', DEADLINE_MS * 10)).toBe(false);
    const exhausted = begin();
    clock.advance(DEADLINE_MS * 10);
    responds(b);
    exhausted.lose();
    expect(judge(exhausted, 'ann', DEADLINE_MS * 10)).toBe(true);
  });
});
