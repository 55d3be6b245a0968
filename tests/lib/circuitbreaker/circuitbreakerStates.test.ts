import { beforeEach, describe, expect, it } from '@jest/globals';
import { CircuitBreaker } from '../../../lib/circuitbreaker/breaker.ts';
import { CircuitBreakers } from '../../../lib/circuitbreaker/breakers.ts';
import type { Breaker, BreakerEvent, BreakerOptions, Permit } from '../../../lib/circuitbreaker/contract.ts';
import type { FailureKind } from '../../../lib/exchange/attempt.ts';
import { SharedCircuitBreaker } from '../../../lib/threads/circuitbreaker/sharedCircuitBreaker.ts';
import { SharedCells } from '../../../lib/threads/sharedCells.ts';
import { BrokenListener } from '../../support/brokenListener.ts';
import { ManualClock } from '../../support/manualClock.ts';

const THRESHOLD = 3;
const WINDOW_MS = 10_000;
const COOLDOWN_MS = 30_000;
const ANN = 'ann';
const BEN = 'ben';

const REPORTS: [name: string, report: (permit: Permit) => void][] = [
  ['succeed', (permit) => permit.succeed()],
  ['fail', (permit) => permit.fail('bad')],
  ['abandon', (permit) => permit.abandon()],
];

let clock: ManualClock;
let events: BreakerEvent[];

beforeEach(() => {
  clock = new ManualClock();
  events = [];
});

/** Both kinds keep the same contract. */
const KINDS = {
  'of one thread': (options: BreakerOptions): Breaker => new CircuitBreaker(options),
  'of several threads': (options: BreakerOptions): Breaker => {
    const buffer = SharedCells.allocate(SharedCircuitBreaker.sizeFor(options.threshold || 1));
    const share = { cells: new SharedCells(buffer, 0), threadNumber: 0, threadCount: 1 };
    return new SharedCircuitBreaker({ ...options, share });
  },
};

describe.each(Object.entries(KINDS))('a breaker %s', (_kind, create) => {
  function newBreaker(options: Partial<BreakerOptions> = {}): Breaker {
    return create({
      threshold: THRESHOLD,
      windowMs: WINDOW_MS,
      cooldownMs: COOLDOWN_MS,
      clock,
      onEvent: (event) => void events.push(event),
      ...options,
    });
  }

  function begin(breaker: Breaker, caller = ANN): Permit {
    const permit = breaker.tryAcquire(caller);
    if (!permit) throw new Error('the breaker admits nobody');
    return permit;
  }

  function fail(breaker: Breaker, times = 1, { caller = ANN, failure = 'bad' as FailureKind } = {}): void {
    for (let i = 0; i < times; i += 1) begin(breaker, caller).fail(failure);
  }

  function succeed(breaker: Breaker, times = 1, caller = ANN): void {
    for (let i = 0; i < times; i += 1) begin(breaker, caller).succeed();
  }

  function openBreaker(): Breaker {
    const breaker = newBreaker();
    fail(breaker, THRESHOLD);
    events.length = 0;
    return breaker;
  }

  /** With its trial under way. */
  function halfOpenBreaker(): { breaker: Breaker; trial: Permit } {
    const breaker = openBreaker();
    clock.advance(COOLDOWN_MS);
    const trial = begin(breaker);
    events.length = 0;
    return { breaker, trial };
  }

  describe('a closed breaker', () => {
    it('opens at the threshold and not before', () => {
      const breaker = newBreaker();
      fail(breaker, THRESHOLD - 1);
      expect(breaker.state).toBe('closed');
      fail(breaker);
      expect(breaker.state).toBe('open');
    });

    it('tells each failure, then that it opened', () => {
      fail(newBreaker(), THRESHOLD);
      expect(events).toEqual([
        { kind: 'failure', failure: 'bad', count: 1 },
        { kind: 'failure', failure: 'bad', count: 2 },
        { kind: 'failure', failure: 'bad', count: 3 },
        { kind: 'transition', from: 'closed', to: 'open', failure: 'bad', hinted: false },
      ]);
    });

    it('forgets no failure because of a success: the window does', () => {
      const breaker = newBreaker();
      fail(breaker, THRESHOLD - 1);
      begin(breaker).succeed();
      fail(breaker);
      expect(breaker.state).toBe('open');
    });

    const silences = [
      { name: 'just inside the window', silenceMs: WINDOW_MS - 1, opens: true },
      { name: 'exactly one window', silenceMs: WINDOW_MS, opens: false },
      { name: 'ten windows', silenceMs: 10 * WINDOW_MS, opens: false },
      { name: 'a day', silenceMs: 24 * 60 * 60 * 1000, opens: false },
    ];

    it.each(silences)('counts earlier failures after a silence of $name: $opens', ({ silenceMs, opens }) => {
      const breaker = newBreaker();
      fail(breaker, THRESHOLD - 1);
      clock.advance(silenceMs);
      fail(breaker);
      expect(breaker.state).toBe(opens ? 'open' : 'closed');
      expect(events.at(opens ? -2 : -1)).toEqual({
        kind: 'failure',
        failure: 'bad',
        count: opens ? THRESHOLD : 1,
      });
    });

    it('lets each failure leave the window by itself', () => {
      const breaker = newBreaker();
      for (let i = 0; i < 20; i += 1) {
        fail(breaker);
        clock.advance(WINDOW_MS / 2);
      }
      expect(breaker.state).toBe('closed');
    });

    it('counts one call as one failure, however often it reports', () => {
      const breaker = newBreaker();
      const permit = begin(breaker);
      for (let i = 0; i < THRESHOLD; i += 1) permit.fail('bad');
      expect(events).toEqual([{ kind: 'failure', failure: 'bad', count: 1 }]);
    });

    it('counts a response that broke off after it had begun well', () => {
      const permit = begin(newBreaker());
      permit.succeed();
      permit.fail('bad');
      expect(events).toEqual([{ kind: 'failure', failure: 'bad', count: 1 }]);
    });

    it('does not count abandoned calls', () => {
      const breaker = newBreaker();
      for (let i = 0; i < 10; i += 1) begin(breaker).abandon();
      expect(breaker.state).toBe('closed');
      expect(events).toEqual([]);
    });

    it('with threshold 1 opens at the first failure', () => {
      const breaker = newBreaker({ threshold: 1 });
      fail(breaker);
      expect(breaker.state).toBe('open');
    });
  });

  describe('an open breaker', () => {
    it('admits nobody until the cooldown is over', () => {
      const breaker = openBreaker();
      expect(breaker).toMatchObject({ admits: false, retryAfterMs: COOLDOWN_MS });
      clock.advance(COOLDOWN_MS - 1);
      expect(breaker).toMatchObject({ admits: false, retryAfterMs: 1 });
      expect(breaker.tryAcquire(ANN)).toBeUndefined();
      clock.advance(1);
      expect(breaker).toMatchObject({ admits: true, retryAfterMs: 0 });
    });

    it('is half-open by itself after exactly the cooldown, and not moved by being asked', () => {
      const breaker = openBreaker();
      clock.advance(COOLDOWN_MS - 1);
      for (let i = 0; i < 10; i += 1) expect(breaker.admits).toBe(false);
      expect(breaker.state).toBe('open');
      clock.advance(1);
      for (let i = 0; i < 10; i += 1) expect(breaker.admits).toBe(true);
      expect(breaker.state).toBe('half-open');
    });

    it('leaves no timer behind when its replica has left', () => {
      const breakers = new CircuitBreakers(() => newBreaker());
      fail(breakers.for('a'), THRESHOLD);
      expect(clock.pending).toBe(1);
      breakers.forget('a');
      expect(clock.pending).toBe(0);
    });

    it('leaves no timer behind when all are forgotten', () => {
      const breakers = new CircuitBreakers(() => newBreaker());
      for (const id of ['a', 'b']) fail(breakers.for(id), THRESHOLD);
      breakers.forgetAll();
      expect(clock.pending).toBe(0);
    });

    it('hears nothing of calls that end after its replica has left', () => {
      const breakers = new CircuitBreakers(() => newBreaker());
      const late = [1, 2, 3].map(() => begin(breakers.for('a')));
      breakers.forget('a');
      for (const permit of late) permit.fail('bad');
      expect(events).toEqual([]);
      expect(clock.pending).toBe(0);
    });

    it('does not wait longer because of late failures', () => {
      const breaker = newBreaker();
      const late = begin(breaker);
      fail(breaker, THRESHOLD);
      clock.advance(COOLDOWN_MS - 1);
      late.fail('bad');
      expect(breaker.retryAfterMs).toBe(1);
    });

    it('does not depend on the time of day', () => {
      const breaker = openBreaker();
      clock.now = () => 0;
      clock.advance(COOLDOWN_MS);
      expect(breaker.admits).toBe(true);
    });
  });

  describe('a half-open breaker', () => {
    it('lets one of 1,000 simultaneous callers through', () => {
      const breaker = openBreaker();
      clock.advance(COOLDOWN_MS);
      const permits = Array.from({ length: 1_000 }, () => breaker.tryAcquire(ANN));
      expect(permits.filter(Boolean)).toHaveLength(1);
      expect(breaker).toMatchObject({ state: 'half-open', admits: false, retryAfterMs: 1000 });
    });

    it('closes when the trial succeeds, with a clean slate', () => {
      const { breaker, trial } = halfOpenBreaker();
      trial.succeed();
      expect(breaker.state).toBe('closed');
      expect(events).toEqual([
        { kind: 'transition', from: 'half-open', to: 'closed', failure: undefined, hinted: false },
      ]);
      fail(breaker, THRESHOLD - 1);
      expect(breaker.state).toBe('closed');
    });

    it('opens for another whole cooldown when the trial fails', () => {
      const { breaker, trial } = halfOpenBreaker();
      clock.advance(5_000);
      trial.fail('bad');
      expect(breaker).toMatchObject({ state: 'open', retryAfterMs: COOLDOWN_MS });
      expect(events).toEqual([
        { kind: 'failure', failure: 'bad', count: THRESHOLD },
        { kind: 'transition', from: 'half-open', to: 'open', failure: 'bad', hinted: false },
      ]);
    });

    it('gives the place of an abandoned trial to the next caller', () => {
      const { breaker, trial } = halfOpenBreaker();
      trial.abandon();
      expect(breaker).toMatchObject({ state: 'half-open', admits: true });
      begin(breaker).succeed();
      expect(breaker.state).toBe('closed');
    });

    it.each(REPORTS)('hears nothing more of an abandoned trial: %s', (_name, report) => {
      const { breaker, trial } = halfOpenBreaker();
      trial.abandon();
      const next = begin(breaker);
      report(trial);
      expect(breaker).toMatchObject({ state: 'half-open', admits: false });
      next.succeed();
      expect(breaker.state).toBe('closed');
    });
  });

  describe('a late result', () => {
    it.each(REPORTS)('of the closed state does not reach a trial: %s', (_name, report) => {
      const breaker = newBreaker();
      const late = begin(breaker);
      fail(breaker, THRESHOLD);
      clock.advance(COOLDOWN_MS);
      const trial = begin(breaker);
      report(late);
      expect(breaker).toMatchObject({ state: 'half-open', admits: false });
      trial.succeed();
      expect(breaker.state).toBe('closed');
    });

    it('of one closed state does not count in the next', () => {
      const breaker = newBreaker();
      const late = Array.from({ length: THRESHOLD }, () => begin(breaker));
      fail(breaker, THRESHOLD);
      clock.advance(COOLDOWN_MS);
      begin(breaker).succeed();
      for (const permit of late) permit.fail('bad');
      expect(breaker.state).toBe('closed');
    });

    it('of the trial itself, once it has closed the breaker, does not count', () => {
      const { breaker, trial } = halfOpenBreaker();
      trial.succeed();
      trial.fail('bad');
      expect(breaker.state).toBe('closed');
      expect(events).toHaveLength(1);
    });
  });

  describe("a breaker's events", () => {
    it('come after the state is settled', () => {
      const states: string[] = [];
      const breaker: Breaker = newBreaker({
        onEvent: ({ kind }) => void states.push(`${kind} ${breaker.state} ${breaker.admits}`),
      });
      fail(breaker, THRESHOLD);
      clock.advance(COOLDOWN_MS);
      begin(breaker).succeed();
      expect(states).toEqual([
        'failure closed true',
        'failure closed true',
        'failure open false',
        'transition open false',
        'transition half-open true',
        'transition closed true',
      ]);
    });

    it('may be answered by asking for a permit', () => {
      const permits: unknown[] = [];
      const breaker: Breaker = newBreaker({
        onEvent: () => void permits.push(breaker.tryAcquire(ANN)),
      });
      fail(breaker, THRESHOLD);
      expect(permits.map(Boolean)).toEqual([true, true, false, false]);
    });

    it('do no harm when the listener throws', () => {
      using broken = new BrokenListener();
      const breaker = newBreaker({ onEvent: broken.listen });
      fail(breaker, THRESHOLD);
      expect(breaker.state).toBe('open');
      clock.advance(COOLDOWN_MS);
      begin(breaker).succeed();
      expect(breaker.state).toBe('closed');
    });
  });

  describe('what it admits', () => {
    it('is told at each change, before the events that go with it', () => {
      const told: unknown[] = [];
      const breaker = newBreaker({
        onAdmission: (admission) => void told.push(admission),
        onEvent: ({ kind }) => void told.push(kind),
      });
      fail(breaker, THRESHOLD);
      clock.advance(COOLDOWN_MS);
      const trial = begin(breaker);
      trial.abandon();
      begin(breaker).succeed();
      expect(told).toEqual([
        ...['failure', 'failure', 'none', 'failure', 'transition'],
        ...['trial', 'transition'],
        ...['none', 'trial', 'none'],
        ...['all', 'transition'],
      ]);
    });
  });

  describe('a hint', () => {
    it('that the replica fails opens a closed breaker, which then finds its own way back', () => {
      const breaker = newBreaker();
      breaker.hintFailing('bad');
      expect(events).toEqual([
        { kind: 'transition', from: 'closed', to: 'open', failure: 'bad', hinted: true },
      ]);
      clock.advance(COOLDOWN_MS);
      begin(breaker).succeed();
      expect(breaker.state).toBe('closed');
    });

    it('that it fails changes nothing once that is known', () => {
      const open = openBreaker();
      open.hintFailing('bad');
      expect(open.retryAfterMs).toBe(COOLDOWN_MS);
      const { breaker, trial } = halfOpenBreaker();
      breaker.hintFailing('bad');
      trial.succeed();
      expect(breaker.state).toBe('closed');
    });

    it('that it has recovered ends the cooldown: a trial of its own decides', () => {
      const breaker = openBreaker();
      breaker.hintRecovered();
      expect(events).toEqual([
        { kind: 'transition', from: 'open', to: 'half-open', failure: 'bad', hinted: true },
      ]);
      expect(clock.pending).toBe(0);
      begin(breaker).fail('bad');
      expect(breaker).toMatchObject({ state: 'open', retryAfterMs: COOLDOWN_MS });
    });

    it('that it has recovered says nothing new to a closed breaker', () => {
      newBreaker().hintRecovered();
      expect(events).toEqual([]);
    });
  });

  describe('failures that are bad', () => {
    it('open it when they are at least the ratio of what it did in the window, and not before', () => {
      const breaker = newBreaker({ ratio: 0.5 });
      succeed(breaker, 4);
      fail(breaker, 3);
      expect(breaker.state).toBe('closed');
      fail(breaker);
      expect(breaker.state).toBe('open');
    });

    it('do not open it among many good calls, and say why', () => {
      const breaker = newBreaker();
      succeed(breaker, 300);
      fail(breaker, 4);
      expect(breaker.state).toBe('closed');
      expect(events.slice(-2)).toEqual([
        { kind: 'failure', failure: 'bad', count: 3, held: { by: 'ratio', failures: 3, calls: 303 } },
        { kind: 'failure', failure: 'bad', count: 3, held: { by: 'ratio', failures: 4, calls: 304 } },
      ]);
    });

    it('open it by their number alone with ratio 0', () => {
      const breaker = newBreaker({ ratio: 0 });
      succeed(breaker, 300);
      fail(breaker, 3);
      expect(breaker.state).toBe('open');
    });

    it('open it with ratio 1 only if nothing else happened', () => {
      const mixed = newBreaker({ ratio: 1 });
      succeed(mixed);
      fail(mixed, 10);
      expect(mixed.state).toBe('closed');
      const failing = newBreaker({ ratio: 1 });
      fail(failing, 3);
      expect(failing.state).toBe('open');
    });

    it('are compared with the calls of the window alone, however long the silence before', () => {
      for (const silenceMs of [2 * WINDOW_MS, 10 * WINDOW_MS, 24 * 60 * 60 * 1000]) {
        const breaker = newBreaker();
        succeed(breaker, 300);
        clock.advance(silenceMs);
        fail(breaker, 3);
        expect(breaker.state).toBe('open');
      }
    });

    it('of one caller never open it while another is served', () => {
      const breaker = newBreaker({ ratio: 0.01 });
      succeed(breaker, 1, BEN);
      fail(breaker, 1_000);
      expect(breaker.state).toBe('closed');
      expect(events.at(-1)).toEqual({ kind: 'failure', failure: 'bad', count: THRESHOLD - 1 });
    });

    describe('where callers have addresses', () => {
      const HERE = '192.0.2.1';
      const ELSEWHERE = '192.0.2.2';

      /** Someone is served; then calls of another fail, as many as open a breaker. */
      function served([name, at]: readonly [string, string], failing: readonly [string, string]): Breaker {
        const breaker = newBreaker();
        breaker.tryAcquire(name, at)?.succeed();
        for (let n = 0; n < THRESHOLD; n += 1) breaker.tryAcquire(...failing)?.fail('bad');
        return breaker;
      }

      it.each([
        ['a name after an address of the same place', [HERE, HERE], [ANN, HERE]],
        ['an address after a name of the same place', [ANN, HERE], [HERE, HERE]],
      ] as const)('open it by %s: they may be the same', (_what, first, failing) => {
        expect(served(first, failing).state).toBe('open');
      });

      it.each([
        ['another name of the same place', [ANN, HERE], [BEN, HERE]],
        ['a name after an address elsewhere', [ELSEWHERE, ELSEWHERE], [ANN, HERE]],
        ['an address after a name elsewhere', [ANN, ELSEWHERE], [HERE, HERE]],
      ] as const)('do not open it by %s', (_what, first, failing) => {
        expect(served(first, failing).state).toBe('closed');
      });
    });

    it('of one caller make up no ratio for the first failure of another', () => {
      const breaker = newBreaker();
      succeed(breaker, 100, BEN);
      fail(breaker, 400);
      fail(breaker, 1, { caller: BEN });
      expect(breaker.state).toBe('closed');
    });

    it('of two callers open it although others are served', () => {
      const breaker = newBreaker();
      succeed(breaker, 3, 'cleo');
      fail(breaker, 2);
      fail(breaker, 1, { caller: BEN });
      expect(breaker.state).toBe('open');
    });

    it('of one caller open it when only that caller is served', () => {
      const breaker = newBreaker();
      succeed(breaker, 3);
      fail(breaker, 3);
      expect(breaker.state).toBe('open');
    });

    it('of one caller open it once the other was last served a window ago', () => {
      const breaker = newBreaker();
      succeed(breaker, 1, BEN);
      clock.advance(WINDOW_MS - 1);
      fail(breaker, 3);
      expect(breaker.state).toBe('closed');
      clock.advance(1);
      fail(breaker);
      expect(breaker.state).toBe('open');
    });

    it('of one caller never open it with threshold 1 while another is served', () => {
      const breaker = newBreaker({ threshold: 1 });
      succeed(breaker, 1, BEN);
      fail(breaker, 10);
      expect(breaker.state).toBe('closed');
      fail(breaker, 1, { caller: BEN });
      expect(breaker.state).toBe('open');
    });

    it('take the place of the good response that broke off', () => {
      const breaker = newBreaker({ ratio: 1 });
      for (let i = 0; i < THRESHOLD; i += 1) {
        const permit = begin(breaker);
        permit.succeed();
        permit.fail('bad');
      }
      expect(breaker.state).toBe('open');
    });
  });

  it('takes nothing back of a good response that the window has forgotten when it breaks off', () => {
    const breaker = newBreaker({ threshold: 1, ratio: 0.6 });
    const permit = begin(breaker);
    permit.succeed();
    clock.advance(2 * WINDOW_MS);
    succeed(breaker);
    permit.fail('bad');
    expect(breaker.state).toBe('closed');
  });

  describe('failures of an absent replica', () => {
    it('open it after many good calls', () => {
      const breaker = newBreaker();
      succeed(breaker, 300, BEN);
      fail(breaker, THRESHOLD, { failure: 'absent' });
      expect(breaker).toMatchObject({ state: 'open', failure: 'absent' });
    });

    it('open it however far apart they are', () => {
      const breaker = newBreaker();
      for (let i = 0; i < THRESHOLD; i += 1) {
        clock.advance(10 * WINDOW_MS);
        fail(breaker, 1, { failure: 'absent' });
      }
      expect(breaker.state).toBe('open');
      expect(events.map((event) => event.kind === 'failure' && event.count)).toEqual([1, 2, 3, false]);
    });

    it('open it whatever failed without a response in between', () => {
      const breaker = newBreaker();
      succeed(breaker, 300, BEN);
      for (let i = 0; i < THRESHOLD; i += 1) {
        fail(breaker, 1, { failure: 'absent' });
        if (i < THRESHOLD - 1) fail(breaker);
      }
      expect(breaker).toMatchObject({ state: 'open', failure: 'absent' });
    });

    const responses: [name: string, respond: (permit: Permit) => void][] = [
      ['a good one', (permit) => permit.succeed()],
      ['a 5xx', (permit) => permit.fail('bad', true)],
      ['one that says nothing', (permit) => permit.abandon(true)],
    ];

    it.each(responses)('do not open it with a response in between: %s', (_name, respond) => {
      const breaker = newBreaker();
      succeed(breaker, 300, BEN);
      for (let i = 0; i < 10; i += 1) {
        fail(breaker, THRESHOLD - 1, { failure: 'absent' });
        respond(begin(breaker));
      }
      expect(breaker.state).toBe('closed');
    });

    it('count in the window as any other', () => {
      const breaker = newBreaker();
      fail(breaker);
      fail(breaker, 1, { failure: 'absent' });
      fail(breaker);
      expect(breaker).toMatchObject({ state: 'open', failure: 'bad' });
    });

    it('are nobody to blame: they count beside those of one caller', () => {
      const breaker = newBreaker();
      succeed(breaker, 2, BEN);
      fail(breaker, 2);
      fail(breaker, 1, { failure: 'absent' });
      expect(breaker.state).toBe('open');
    });
  });

  describe('a breaker that may not open', () => {
    const onlyAbsent = { mayOpen: (failure: FailureKind) => failure === 'absent' };

    it('stays closed for what is bad, and says so', () => {
      const breaker = newBreaker(onlyAbsent);
      fail(breaker, 4);
      expect(breaker.state).toBe('closed');
      expect(events.slice(-2)).toEqual([
        { kind: 'failure', failure: 'bad', count: 3, held: { by: 'mayOpen' } },
        { kind: 'failure', failure: 'bad', count: 3, held: { by: 'mayOpen' } },
      ]);
      breaker.hintFailing('bad');
      expect(breaker.state).toBe('closed');
    });

    it('opens for an absent replica, and closes when that is back with a bad response', () => {
      const breaker = newBreaker(onlyAbsent);
      fail(breaker, 3, { failure: 'absent' });
      expect(breaker.state).toBe('open');
      clock.advance(COOLDOWN_MS);
      begin(breaker).fail('bad', true);
      expect(breaker.state).toBe('closed');
    });
  });

  describe('the trial of one caller', () => {
    it('that is bad leaves a second one to any other caller at once', () => {
      const { breaker, trial } = halfOpenBreaker();
      trial.fail('bad');
      expect(breaker).toMatchObject({ state: 'open', admits: true, retryAfterMs: COOLDOWN_MS });
      expect(breaker.admitsCaller(ANN)).toBe(false);
      expect(breaker.tryAcquire(ANN)).toBeUndefined();
      expect(breaker.admitsCaller(BEN)).toBe(true);
      const second = begin(breaker, BEN);
      expect(breaker).toMatchObject({ state: 'half-open', admits: false });
      second.succeed();
      expect(breaker.state).toBe('closed');
    });

    it('that is bad keeps it from that caller for a cooldown, if nobody else comes', () => {
      const { breaker, trial } = halfOpenBreaker();
      trial.fail('bad');
      clock.advance(COOLDOWN_MS - 1);
      expect(breaker.tryAcquire(ANN)).toBeUndefined();
      clock.advance(1);
      begin(breaker).succeed();
      expect(breaker.state).toBe('closed');
    });

    it('and of a second one, both bad, opens it for everybody', () => {
      const { breaker, trial } = halfOpenBreaker();
      trial.fail('bad');
      begin(breaker, BEN).fail('bad');
      expect(breaker).toMatchObject({ state: 'open', admits: false });
      for (const caller of [ANN, BEN, 'cleo']) expect(breaker.tryAcquire(caller)).toBeUndefined();
      clock.advance(COOLDOWN_MS);
      expect(breaker.state).toBe('half-open');
    });

    it('that finds nobody opens it for everybody', () => {
      const { breaker, trial } = halfOpenBreaker();
      trial.fail('absent');
      expect(breaker).toMatchObject({ state: 'open', admits: false, failure: 'absent' });
    });

    it('that is abandoned while another waits leaves the next one to others', () => {
      for (const turnAway of [
        (breaker: Breaker) => expect(breaker.tryAcquire(BEN)).toBeUndefined(),
        (breaker: Breaker) => breaker.turnedAway(BEN),
      ]) {
        const { breaker, trial } = halfOpenBreaker();
        turnAway(breaker);
        trial.abandon();
        expect(breaker.tryAcquire(ANN)).toBeUndefined();
        begin(breaker, BEN).succeed();
        expect(breaker.state).toBe('closed');
      }
    });

    it('that is abandoned while nobody else waits is for anybody, as often as that happens', () => {
      const { breaker, trial } = halfOpenBreaker();
      breaker.turnedAway(ANN);
      trial.abandon();
      for (let i = 0; i < 10; i += 1) begin(breaker).abandon();
      begin(breaker).succeed();
      expect(breaker.state).toBe('closed');
    });

    it('never keeps a good replica from others, whatever that caller does', () => {
      for (const [, report] of REPORTS.filter(([name]) => name !== 'succeed')) {
        const { breaker, trial } = halfOpenBreaker();
        expect(breaker.tryAcquire(BEN)).toBeUndefined();
        report(trial);
        for (let i = 0; i < 100; i += 1) {
          const permit = breaker.tryAcquire(ANN);
          if (permit) report(permit);
        }
        begin(breaker, BEN).succeed();
        expect(breaker.state).toBe('closed');
      }
    });
  });

  it('drops a hint of bad responses while somebody is served here', () => {
    const breaker = newBreaker();
    succeed(breaker);
    breaker.hintFailing('bad');
    expect(breaker.state).toBe('closed');
    clock.advance(WINDOW_MS);
    breaker.hintFailing('bad');
    expect(breaker).toMatchObject({ state: 'open', failure: 'bad' });
  });

  it('takes a hint of absence while somebody is served here', () => {
    const breaker = newBreaker();
    succeed(breaker);
    breaker.hintFailing('absent');
    expect(breaker).toMatchObject({ state: 'open', failure: 'absent', admits: false });
  });

  it.each([-0.1, 1.1, Number.NaN])('refuses the ratio %d', (ratio) => {
    expect(() => newBreaker({ ratio })).toThrow(
      new RangeError(`CircuitBreaker: ratio must be from 0 to 1, got ${ratio}`),
    );
  });

  describe('CircuitBreaker refuses', () => {
    it.each(['threshold', 'windowMs', 'cooldownMs'])('%s below 1', (name) => {
      for (const value of [0, -1, Number.NaN]) {
        expect(() => newBreaker({ [name]: value })).toThrow(
          new RangeError(`CircuitBreaker: ${name} must be at least 1, got ${value}`),
        );
      }
    });
  });

  describe('CircuitBreakers', () => {
    it('keeps one breaker for each replica until it is forgotten', () => {
      const made: string[] = [];
      const breakers = new CircuitBreakers((id) => {
        made.push(id);
        return newBreaker();
      });
      const first = breakers.for('a');
      expect(breakers.for('a')).toBe(first);
      expect(breakers.for('b')).not.toBe(first);
      breakers.forget('a');
      expect(breakers.for('a')).not.toBe(first);
      expect(made).toEqual(['a', 'b', 'a']);
    });
  });
});
