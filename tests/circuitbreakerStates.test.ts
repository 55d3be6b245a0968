import { beforeEach, describe, expect, it } from '@jest/globals';
import {
  type BreakerEvent,
  type BreakerOptions,
  CircuitBreaker,
  type Permit,
} from '../lib/circuitbreaker/breaker.ts';
import { CircuitBreakers } from '../lib/circuitbreaker/breakers.ts';
import { BrokenListener } from './support/brokenListener.ts';
import { ManualClock } from './support/manualClock.ts';

const THRESHOLD = 3;
const WINDOW_MS = 10_000;
const COOLDOWN_MS = 30_000;

let clock: ManualClock;
let events: BreakerEvent[];

beforeEach(() => {
  clock = new ManualClock();
  events = [];
});

function newBreaker(options: Partial<BreakerOptions> = {}): CircuitBreaker {
  return new CircuitBreaker({
    threshold: THRESHOLD,
    windowMs: WINDOW_MS,
    cooldownMs: COOLDOWN_MS,
    clock,
    onEvent: (event) => void events.push(event),
    ...options,
  });
}

function begin(breaker: CircuitBreaker): Permit {
  const permit = breaker.tryAcquire();
  if (!permit) throw new Error('the breaker admits nobody');
  return permit;
}

function fail(breaker: CircuitBreaker, times = 1): void {
  for (let i = 0; i < times; i += 1) begin(breaker).fail();
}

function openBreaker(): CircuitBreaker {
  const breaker = newBreaker();
  fail(breaker, THRESHOLD);
  events.length = 0;
  return breaker;
}

/** With its trial under way. */
function halfOpenBreaker(): { breaker: CircuitBreaker; trial: Permit } {
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
      { kind: 'failure', count: 1 },
      { kind: 'failure', count: 2 },
      { kind: 'failure', count: 3 },
      { kind: 'transition', from: 'closed', to: 'open', hinted: false },
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
    expect(events.at(opens ? -2 : -1)).toEqual({ kind: 'failure', count: opens ? THRESHOLD : 1 });
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
    for (let i = 0; i < THRESHOLD; i += 1) permit.fail();
    expect(events).toEqual([{ kind: 'failure', count: 1 }]);
  });

  it('counts an answer that broke off after it had begun well', () => {
    const permit = begin(newBreaker());
    permit.succeed();
    permit.fail();
    expect(events).toEqual([{ kind: 'failure', count: 1 }]);
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
    expect(breaker.tryAcquire()).toBeUndefined();
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
    for (const permit of late) permit.fail();
    expect(events).toEqual([]);
    expect(clock.pending).toBe(0);
  });

  it('does not wait longer because of late failures', () => {
    const breaker = newBreaker();
    const late = begin(breaker);
    fail(breaker, THRESHOLD);
    clock.advance(COOLDOWN_MS - 1);
    late.fail();
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
    const permits = Array.from({ length: 1_000 }, () => breaker.tryAcquire());
    expect(permits.filter(Boolean)).toHaveLength(1);
    expect(breaker).toMatchObject({ state: 'half-open', admits: false, retryAfterMs: 1000 });
  });

  it('closes when the trial succeeds, with a clean slate', () => {
    const { breaker, trial } = halfOpenBreaker();
    trial.succeed();
    expect(breaker.state).toBe('closed');
    expect(events).toEqual([{ kind: 'transition', from: 'half-open', to: 'closed', hinted: false }]);
    fail(breaker, THRESHOLD - 1);
    expect(breaker.state).toBe('closed');
  });

  it('opens for another whole cooldown when the trial fails', () => {
    const { breaker, trial } = halfOpenBreaker();
    clock.advance(5_000);
    trial.fail();
    expect(breaker).toMatchObject({ state: 'open', retryAfterMs: COOLDOWN_MS });
    expect(events).toEqual([
      { kind: 'failure', count: THRESHOLD },
      { kind: 'transition', from: 'half-open', to: 'open', hinted: false },
    ]);
  });

  it('gives the place of an abandoned trial to the next caller', () => {
    const { breaker, trial } = halfOpenBreaker();
    trial.abandon();
    expect(breaker).toMatchObject({ state: 'half-open', admits: true });
    begin(breaker).succeed();
    expect(breaker.state).toBe('closed');
  });

  it.each(['succeed', 'fail', 'abandon'] as const)(
    'hears nothing more of an abandoned trial: %s',
    (report) => {
      const { breaker, trial } = halfOpenBreaker();
      trial.abandon();
      const next = begin(breaker);
      trial[report]();
      expect(breaker).toMatchObject({ state: 'half-open', admits: false });
      next.succeed();
      expect(breaker.state).toBe('closed');
    },
  );
});

describe('a late result', () => {
  it.each(['succeed', 'fail', 'abandon'] as const)(
    'of the closed state does not reach a trial: %s',
    (report) => {
      const breaker = newBreaker();
      const late = begin(breaker);
      fail(breaker, THRESHOLD);
      clock.advance(COOLDOWN_MS);
      const trial = begin(breaker);
      late[report]();
      expect(breaker).toMatchObject({ state: 'half-open', admits: false });
      trial.succeed();
      expect(breaker.state).toBe('closed');
    },
  );

  it('of one closed state does not count in the next', () => {
    const breaker = newBreaker();
    const late = Array.from({ length: THRESHOLD }, () => begin(breaker));
    fail(breaker, THRESHOLD);
    clock.advance(COOLDOWN_MS);
    begin(breaker).succeed();
    for (const permit of late) permit.fail();
    expect(breaker.state).toBe('closed');
  });

  it('of the trial itself, once it has closed the breaker, does not count', () => {
    const { breaker, trial } = halfOpenBreaker();
    trial.succeed();
    trial.fail();
    expect(breaker.state).toBe('closed');
    expect(events).toHaveLength(1);
  });
});

describe("a breaker's events", () => {
  it('come after the state is settled', () => {
    const states: string[] = [];
    const breaker: CircuitBreaker = newBreaker({
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
    const breaker: CircuitBreaker = newBreaker({
      onEvent: () => void permits.push(breaker.tryAcquire()),
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

describe('whether it admits', () => {
  it('is told at each change, before the events that go with it', () => {
    const told: unknown[] = [];
    const breaker = newBreaker({
      onAdmits: (admits) => void told.push(admits),
      onEvent: ({ kind }) => void told.push(kind),
    });
    fail(breaker, THRESHOLD);
    clock.advance(COOLDOWN_MS);
    const trial = begin(breaker);
    trial.abandon();
    begin(breaker).succeed();
    expect(told).toEqual([
      ...['failure', 'failure', false, 'failure', 'transition'],
      ...[true, 'transition'],
      ...[false, true, false],
      ...[true, 'transition'],
    ]);
  });
});

describe('a hint', () => {
  it('that the replica fails opens a closed breaker, which then finds its own way back', () => {
    const breaker = newBreaker();
    breaker.hintFailing();
    expect(events).toEqual([{ kind: 'transition', from: 'closed', to: 'open', hinted: true }]);
    clock.advance(COOLDOWN_MS);
    begin(breaker).succeed();
    expect(breaker.state).toBe('closed');
  });

  it('that it fails changes nothing once that is known', () => {
    const open = openBreaker();
    open.hintFailing();
    expect(open.retryAfterMs).toBe(COOLDOWN_MS);
    const { breaker, trial } = halfOpenBreaker();
    breaker.hintFailing();
    trial.succeed();
    expect(breaker.state).toBe('closed');
  });

  it('that it has recovered ends the cooldown: a trial of its own decides', () => {
    const breaker = openBreaker();
    breaker.hintRecovered();
    expect(events).toEqual([{ kind: 'transition', from: 'open', to: 'half-open', hinted: true }]);
    expect(clock.pending).toBe(0);
    begin(breaker).fail();
    expect(breaker).toMatchObject({ state: 'open', retryAfterMs: COOLDOWN_MS });
  });

  it('that it has recovered says nothing new to a closed breaker', () => {
    newBreaker().hintRecovered();
    expect(events).toEqual([]);
  });
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
