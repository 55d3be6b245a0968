import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { threadsClock } from '../../../lib/clock/threadsClock.ts';
import { SharedCircuitBreaker } from '../../../lib/threads/circuitbreaker/sharedCircuitBreaker.ts';
import { eventually } from '../../support/eventually.ts';
import type { BreakerOrder, BreakerReport } from '../../support/threads/breakers.ts';
import { Team, type TeamMember } from '../../support/threads/team.ts';

const OPTIONS = { threshold: 3, windowMs: 60_000, cooldownMs: 1_000 };
const THREADS = 3;

let team: Team;
/** Of this thread, on the same cells. */
let breaker: SharedCircuitBreaker;

beforeEach(() => {
  team = new Team('breakers.ts', THREADS, () => SharedCircuitBreaker.sizeFor(OPTIONS.threshold), {
    options: OPTIONS,
  });
  breaker = new SharedCircuitBreaker({ ...OPTIONS, clock: threadsClock, share: team.share });
});

afterEach(() => team[Symbol.asyncDispose]());

function order(member: number, wanted: BreakerOrder): Promise<BreakerReport> {
  return (team.members[member] as TeamMember).ask(wanted);
}

async function failOn(...members: readonly number[]): Promise<void> {
  for (const member of members) {
    await order(member, 'begin');
    await order(member, 'fail');
  }
}

async function halfOpen(): Promise<void> {
  await failOn(0, 1, 2);
  await eventually('the cooldown is over', () => breaker.state === 'half-open');
}

function end(member: number): Promise<number> {
  return (team.members[member] as TeamMember).worker.terminate();
}

describe('a breaker of three threads', () => {
  it('opens for all by failures that were spread over them, and says so once', async () => {
    await failOn(0, 1, 2);
    const reports = await Promise.all([0, 1, 2].map((i) => order(i, 'begin')));
    expect(reports.map(({ state, permits }) => [state, permits])).toEqual(Array(3).fill(['open', 0]));
    expect(reports.map(({ events }) => events)).toEqual([
      ['failure 1'],
      ['failure 2'],
      ['failure 3', 'closed -> open'],
    ]);
    expect(breaker.retryAfterMs).toBeGreaterThan(0);
    expect(breaker.retryAfterMs).toBeLessThanOrEqual(OPTIONS.cooldownMs);
  });

  it('lets one trial through, wherever it is asked for, and closes for all when that succeeds', async () => {
    await halfOpen();
    const asked = await Promise.all([0, 1, 2].map((i) => order(i, 'begin')));
    expect(asked.map(({ permits }) => permits).toSorted()).toEqual([0, 0, 1]);
    expect(breaker.tryAcquire('ann')).toBeUndefined();
    await order(
      asked.findIndex(({ permits }) => permits === 1),
      'succeed',
    );
    expect(breaker.state).toBe('closed');
    expect((await order(0, 'begin')).permits).toBe(1);
  });

  it('hears no report of an earlier state from any of them', async () => {
    await order(0, 'begin');
    await failOn(1, 1, 1);
    await eventually('the cooldown is over', () => breaker.state === 'half-open');
    await order(0, 'succeed');
    expect(breaker.state).toBe('half-open');
  });

  it('goes on after the thread that waited for the end of the cooldown has ended', async () => {
    await failOn(0, 1, 2);
    await end(2);
    expect(breaker.state).toBe('open');
    breaker.leave(3);
    await eventually('the cooldown is over', () => breaker.state === 'half-open');
  });

  it('makes another trial when the thread that made it has ended', async () => {
    await halfOpen();
    await order(1, 'begin');
    await end(1);
    expect(breaker.admits).toBe(false);
    breaker.leave(1);
    expect(breaker.admits).toBe(false);
    breaker.leave(2);
    expect((await order(0, 'begin')).permits).toBe(1);
  });
});
