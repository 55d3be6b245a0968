import { setImmediate as afterTurn } from 'node:timers/promises';
import { beforeEach, describe, expect, it } from '@jest/globals';
import type { CheckEvent, CheckedReplica, ProbeOutcome } from '../../../lib/healthcheck/contract.ts';
import { ServiceChecks, type ServiceChecksOptions } from '../../../lib/healthcheck/serviceChecks.ts';
import { deferred } from '../../support/deferred.ts';
import { ManualClock } from '../../support/manualClock.ts';

const INTERVAL_MS = 10_000;
const OK: ProbeOutcome = { kind: 'passed', status: 200 };
const BAD: ProbeOutcome = { kind: 'failed', why: 'status', status: 503, text: 'status 503' };
const REFUSED: ProbeOutcome = { kind: 'failed', why: 'status', status: 404, text: 'status 404' };
const UNKNOWN: ProbeOutcome = { kind: 'unknown', text: 'connect EMFILE' };

function replica(id: string): CheckedReplica {
  return { key: `${id}:80`, id, url: new URL(`http://${id}:80`) };
}

const [A, B, C] = [replica('a'), replica('b'), replica('c')];

/** Checks whose replicas say what the test wants, and a clock in its hand. */
class Checked {
  readonly clock = new ManualClock(0);
  /** What each replica says, by its id. Default: it passes. */
  readonly says = new Map<string, ProbeOutcome>();
  /** Which replicas were asked. */
  asked: string[] = [];
  readonly events: CheckEvent[] = [];
  readonly outcomes: ProbeOutcome[] = [];
  /** What the balancer was told last. */
  readonly let: Record<string, boolean> = {};
  readonly checks: ServiceChecks;

  constructor(options: Partial<ServiceChecksOptions> = {}) {
    this.checks = new ServiceChecks({
      terms: { intervalMs: INTERVAL_MS, healthyAfter: 2, unhealthyAfter: 3 },
      probe: ({ hostname }) => {
        this.asked.push(hostname);
        return { outcome: Promise.resolve(this.says.get(hostname) ?? OK), cancel: () => {} };
      },
      letThrough: (key, passes) => {
        this.let[key] = passes;
      },
      onEvent: (event) => this.events.push(event),
      onOutcome: (outcome) => this.outcomes.push(outcome),
      clock: this.clock,
      // No jitter, and the first probe in the middle of its second.
      random: () => 0.5,
      ...options,
    });
  }

  /** Lets time pass, a turn of the event loop for every tenth of a second. */
  async pass(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += 100) {
      this.clock.advance(Math.min(100, ms - passed));
      await afterTurn();
    }
  }
}

describe('checks of a service', () => {
  let checked: Checked;

  beforeEach(() => {
    checked = new Checked();
  });

  it('probe nothing before they are started, and nothing after they are stopped', async () => {
    const { checks, clock } = checked;
    checks.follow([A]);
    expect(clock.pending).toBe(0);
    checks.start([A, B]);
    await checked.pass(1_000);
    expect(checked.asked).toEqual(['a', 'b']);
    checks.stop();
    checks.follow([A]);
    expect(clock.pending).toBe(0);
    await checked.pass(INTERVAL_MS);
    expect(checked.asked).toHaveLength(2);
  });

  it('probe each replica once an interval, counted from the end of the last probe', async () => {
    const slow = deferred<ProbeOutcome>();
    let probes = 0;
    checked = new Checked({
      probe: () => {
        probes += 1;
        return { outcome: slow.promise, cancel: () => {} };
      },
    });
    checked.checks.start([A]);
    await checked.pass(35_000);
    expect(probes).toBe(1);
    slow.resolve(OK);
    await afterTurn();
    await checked.pass(INTERVAL_MS - 100);
    expect(probes).toBe(1);
    await checked.pass(100);
    expect(probes).toBe(2);
  });

  it('take a replica out after so many failures in a row, and back after so many successes', async () => {
    checked.checks.start([A, B]);
    await checked.pass(1_000);
    checked.says.set('a', BAD);
    await checked.pass(2 * INTERVAL_MS);
    expect(checked.events).toEqual([]);
    await checked.pass(INTERVAL_MS);
    expect(checked.let).toEqual({ 'a:80': false });
    checked.says.set('a', OK);
    await checked.pass(INTERVAL_MS);
    expect(checked.checks.stateOf(A.key)).toBe('failing');
    await checked.pass(INTERVAL_MS);
    expect(checked.let).toEqual({ 'a:80': true });
    expect(checked.events).toEqual([
      { kind: 'changed', replica: A, from: 'passing', to: 'failing', count: 3, text: 'status 503' },
      { kind: 'changed', replica: A, from: 'failing', to: 'passing', count: 2, text: 'status 200' },
    ]);
  });

  it('need as many failures of a replica that has never passed', async () => {
    checked.says.set('a', BAD);
    checked.checks.start([A, B]);
    await checked.pass(1_000 + INTERVAL_MS);
    expect(checked.asked.filter((id) => id === 'a')).toHaveLength(2);
    expect(checked.let).toEqual({});
    await checked.pass(INTERVAL_MS);
    expect(checked.let).toEqual({ 'a:80': false });
  });

  it('change nothing while a replica flaps', async () => {
    checked.checks.start([A, B]);
    await checked.pass(1_000);
    for (let turn = 0; turn < 20; turn += 1) {
      checked.says.set('a', turn % 3 === 2 ? OK : BAD);
      await checked.pass(INTERVAL_MS);
    }
    expect(checked.events).toEqual([]);
    checked.says.set('a', BAD);
    await checked.pass(3 * INTERVAL_MS);
    for (let turn = 0; turn < 20; turn += 1) {
      checked.says.set('a', turn % 2 === 0 ? OK : BAD);
      await checked.pass(INTERVAL_MS);
    }
    expect(checked.events).toHaveLength(1);
  });

  it('count nothing that says nothing of the replica', async () => {
    checked.checks.start([A, B]);
    await checked.pass(1_000);
    for (const outcome of [BAD, BAD, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN]) {
      checked.says.set('a', outcome);
      await checked.pass(INTERVAL_MS);
    }
    expect(checked.events).toEqual([]);
    checked.says.set('a', BAD);
    await checked.pass(INTERVAL_MS);
    expect(checked.let).toEqual({ 'a:80': false });
    expect(checked.outcomes).toContainEqual(UNKNOWN);
  });

  it('go on after a probe that cannot be made', async () => {
    let broken = true;
    checked = new Checked({
      probe: ({ hostname }) => {
        checked.asked.push(hostname);
        if (broken) throw new TypeError('url must be http: or https:');
        return { outcome: Promise.resolve(OK), cancel: () => {} };
      },
    });
    checked.checks.start([A]);
    await checked.pass(2 * INTERVAL_MS);
    broken = false;
    await checked.pass(2 * INTERVAL_MS);
    expect(checked.asked).toHaveLength(4);
    expect(checked.outcomes.slice(1, 3)).toEqual([
      { kind: 'unknown', text: 'url must be http: or https:' },
      OK,
    ]);
    expect(checked.events).toEqual([]);
  });

  it('let replicas have requests before anybody has passed', () => {
    checked.checks.start([A, B]);
    checked.checks.follow([A, B, C]);
    expect([A, B, C].map(({ key }) => checked.checks.stateOf(key))).toEqual(Array(3).fill('passing'));
    expect(checked.let).toEqual({});
  });

  it('let a replica that joins others have requests once it has passed', async () => {
    checked.checks.start([A]);
    await checked.pass(1_000);
    checked.says.set('b', BAD);
    checked.checks.follow([A, B]);
    expect(checked.let).toEqual({ 'b:80': false });
    await checked.pass(4_000);
    expect(checked.events).toEqual([{ kind: 'waits', replica: B, text: 'status 503' }]);
    // It is asked more often than once an interval, as it will be needed soon.
    expect(checked.asked.filter((id) => id === 'b')).toHaveLength(4);
    checked.says.set('b', OK);
    await checked.pass(1_000);
    expect(checked.let).toEqual({ 'b:80': true });
    expect(checked.events.at(-1)).toMatchObject({
      kind: 'changed',
      from: 'waiting',
      to: 'passing',
      count: 1,
    });
  });

  it('let a replica that joins have requests at once if there is no other', async () => {
    checked.checks.start([A]);
    await checked.pass(1_000);
    checked.checks.follow([B, C]);
    expect(checked.let).toEqual({});
    await checked.pass(1_000);
    const d = replica('d');
    checked.checks.follow([B, C, d]);
    expect(checked.let).toEqual({ 'd:80': false });
    checked.checks.follow([d]);
    expect(checked.let).toEqual({ 'd:80': true });
    expect(checked.checks.stateOf(d.key)).toBe('passing');
    expect(checked.events).toEqual([]);
  });

  it('ask more often as long as no replica passes, and say so once', async () => {
    checked.checks.start([A, B]);
    await checked.pass(1_000);
    checked.says.set('a', BAD).set('b', BAD);
    await checked.pass(3 * INTERVAL_MS);
    expect(checked.let).toEqual({ 'a:80': false, 'b:80': false });
    expect(checked.events.map(({ kind }) => kind)).toEqual(['changed', 'changed', 'none']);
    checked.asked = [];
    checked.checks.follow([A, B]);
    await checked.pass(10_000);
    expect(checked.asked.filter((id) => id === 'a')).toHaveLength(10);
    expect(checked.events).toHaveLength(3);
    checked.says.set('b', OK);
    await checked.pass(1_900);
    expect(checked.let).toEqual({ 'a:80': false, 'b:80': true });
  });

  it('ask nobody twice at a time, however much it hurries', async () => {
    const hangs = deferred<ProbeOutcome>();
    const underWay = new Map<string, number>();
    let slow = '';
    checked = new Checked({
      probe: ({ hostname }) => {
        underWay.set(hostname, (underWay.get(hostname) ?? 0) + 1);
        const outcome = hostname === slow ? hangs.promise : Promise.resolve(checked.says.get(hostname) ?? OK);
        void outcome.then(() => underWay.set(hostname, (underWay.get(hostname) ?? 0) - 1));
        return { outcome, cancel: () => {} };
      },
    });
    checked.checks.start([A, B]);
    await checked.pass(1_000);
    checked.says.set('a', BAD);
    await checked.pass(3 * INTERVAL_MS);
    expect(checked.checks.stateOf(A.key)).toBe('failing');
    slow = 'a';
    await checked.pass(INTERVAL_MS);
    checked.says.set('b', BAD);
    await checked.pass(5 * INTERVAL_MS);
    expect(checked.events.at(-1)).toEqual({ kind: 'none' });
    expect(underWay.get('a')).toBe(1);
    // The one that hung is asked soon again.
    slow = '';
    checked.says.set('a', OK);
    hangs.resolve(OK);
    await checked.pass(1_100);
    expect(checked.checks.stateOf(A.key)).toBe('passing');
  });

  it.each([
    [400, 'passing'],
    [499, 'passing'],
    [399, 'failing'],
    [500, 'failing'],
  ])('make of status %d, as long as nobody has passed: %s', async (status, state) => {
    checked.says.set('a', { kind: 'failed', why: 'status', status, text: `status ${status}` });
    checked.checks.start([A, B]);
    checked.says.set('b', UNKNOWN);
    await checked.pass(4 * INTERVAL_MS);
    expect(checked.checks.stateOf(A.key)).toBe(state);
  });

  it('doubt a check that refuses everybody with 4xx, until somebody passes it', async () => {
    checked.says.set('a', REFUSED).set('b', REFUSED);
    checked.checks.start([A, B]);
    await checked.pass(10 * INTERVAL_MS);
    expect(checked.let).toEqual({});
    expect(checked.events).toEqual([{ kind: 'doubted', replica: A, text: 'status 404' }]);
    checked.says.set('b', OK);
    // At the first of these it was asked before the other one.
    await checked.pass(4 * INTERVAL_MS);
    expect(checked.let).toEqual({ 'a:80': false });
  });

  it('forget a replica that leaves, also in the middle of a probe', async () => {
    const open = deferred<ProbeOutcome>();
    let cancelled = 0;
    checked = new Checked({
      probe: () => ({
        outcome: open.promise,
        cancel: () => {
          cancelled += 1;
        },
      }),
    });
    checked.checks.start([A]);
    await checked.pass(1_000);
    checked.checks.follow([]);
    expect(cancelled).toBe(1);
    open.resolve(BAD);
    await afterTurn();
    expect(checked.outcomes).toEqual([]);
    expect(checked.clock.pending).toBe(0);
    expect(checked.checks.stateOf(A.key)).toBeUndefined();
  });

  it('do not probe in step: each probe is up to a tenth earlier or later, by chance', async () => {
    const drawn = [0, 0.25, 0.999];
    let index = 0;
    const at: number[] = [];
    const clock = new ManualClock(0);
    const checks = new ServiceChecks({
      terms: { intervalMs: INTERVAL_MS, healthyAfter: 1, unhealthyAfter: 1 },
      probe: () => {
        at.push(clock.ticks());
        return { outcome: Promise.resolve(OK), cancel: () => {} };
      },
      letThrough: () => {},
      clock,
      random: () => drawn[index++ % drawn.length] as number,
    });
    checks.start([A]);
    for (let ms = 0; ms < 45_000; ms += 1) {
      clock.advance(1);
      if (clock.pending === 0) await afterTurn();
    }
    const pauses = at.slice(1).map((ms, i) => ms - (at[i] as number));
    expect(pauses.slice(0, 3).map(Math.round)).toEqual([9_500, 10_998, 9_000]);
    checks.stop();
  });

  it('probe at most 64 of 10,000 replicas at a time, and spread the first probes over their interval', async () => {
    const many = Array.from({ length: 10_000 }, (_, i) => replica(`r${i}`));
    let [underWay, most, begun] = [0, 0, 0];
    const ends: (() => void)[] = [];
    let seed = 1;
    checked = new Checked({
      probe: () => {
        underWay += 1;
        begun += 1;
        most = Math.max(most, underWay);
        const { promise, resolve } = deferred<ProbeOutcome>();
        ends.push(() => {
          underWay -= 1;
          resolve(OK);
        });
        return { outcome: promise, cancel: () => {} };
      },
      random: () => {
        seed = (seed * 48_271) % 2_147_483_647;
        return seed / 2_147_483_647;
      },
    });
    checked.checks.start(many);
    const perSecond: number[] = [];
    for (let second = 0; second < 10; second += 1) {
      const before = begun;
      for (let tenth = 0; tenth < 100; tenth += 1) {
        checked.clock.advance(10);
        await afterTurn();
        for (const end of ends.splice(0)) end();
        await afterTurn();
      }
      perSecond.push(begun - before);
    }
    expect(most).toBeLessThanOrEqual(64);
    expect(Math.min(...perSecond)).toBeGreaterThan(800);
    expect(Math.max(...perSecond)).toBeLessThan(1_300);
    // Those that hang keep all others waiting, and never more than so many are asked.
    await checked.pass(INTERVAL_MS);
    expect(underWay).toBe(64);
    checked.checks.stop();
    expect(checked.clock.pending).toBe(0);
  });
});
