import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { CircuitBreaker } from '../../../lib/circuitbreaker/breaker.ts';
import type { Breaker, BreakerOptions, Permit } from '../../../lib/circuitbreaker/contract.ts';
import { SharedCircuitBreaker } from '../../../lib/threads/circuitbreaker/sharedCircuitBreaker.ts';
import { SharedCells } from '../../../lib/threads/sharedCells.ts';
import { cases } from '../../support/cases.ts';
import { ManualClock } from '../../support/manualClock.ts';

const WINDOW_MS = 1_000;
const COOLDOWN_MS = 3_000;
const CALLERS = ['ann', 'ben', 'cleo', 'dave', 'eve'] as const;
const OUTCOMES = ['good', 'good, then bad', '5xx', 'lost', 'absent', '501', 'left'] as const;

type Outcome = (typeof OUTCOMES)[number];

interface Failure {
  readonly atMs: number;
  /** Undefined: an absent replica is no caller's doing. */
  readonly caller: string | undefined;
  /** Whether the ratio counts it. */
  counts: boolean;
}

interface Call {
  readonly caller: string;
  readonly generation: number;
}

/** What the documentation says of a breaker, by looking at everything that ever happened to it. */
class Model {
  state: 'closed' | 'open' | 'half-open' = 'closed';
  generation = 0;
  readonly #threshold: number;
  readonly #ratio: number;
  #good: { readonly atMs: number; readonly caller: string; isTakenBack: boolean }[] = [];
  #failures: Failure[] = [];
  #absentInARow = 0;
  #openUntilMs = 0;
  /** While open: the one caller whose trial was bad. While half-open: whose trial is under way. */
  #caller: string | undefined;
  #isSecond = false;
  #othersWait = false;

  constructor(threshold: number, ratio: number) {
    this.#threshold = threshold;
    this.#ratio = ratio;
  }

  begin(caller: string): Call | undefined {
    if (this.state === 'half-open' && this.#caller !== undefined) {
      this.#othersWait ||= this.#caller !== caller;
      return undefined;
    }
    if (this.state === 'open' && (this.#caller === undefined || this.#caller === caller)) return undefined;
    if (this.state !== 'closed') this.#become('half-open', { caller, isSecond: this.state === 'open' });
    return { caller, generation: this.generation };
  }

  end({ caller, generation }: Call, outcome: Outcome, nowMs: number): void {
    if (generation !== this.generation) return;
    if (this.state === 'half-open') this.#endTrial(caller, outcome, nowMs);
    else if (this.state === 'closed') this.#endCall(caller, outcome, nowMs);
  }

  tick(nowMs: number): void {
    if (this.state === 'open' && nowMs >= this.#openUntilMs) this.#become('half-open');
  }

  hintBad(nowMs: number): void {
    if (this.state !== 'closed' || this.#good.some(({ atMs }) => nowMs - atMs < WINDOW_MS)) return;
    this.#open(nowMs);
  }

  hintRecovered(): void {
    if (this.state === 'open') this.#become('half-open');
  }

  #endTrial(caller: string, outcome: Outcome, nowMs: number): void {
    if (outcome.startsWith('good')) {
      this.#become('closed');
      this.#good.push({ atMs: nowMs, caller, isTakenBack: false });
    } else if (outcome === 'absent') this.#open(nowMs);
    else if (outcome === '5xx' || outcome === 'lost') this.#open(nowMs, this.#isSecond ? undefined : caller);
    else if (this.#othersWait) this.#open(nowMs, caller);
    else this.#become('half-open');
  }

  #endCall(caller: string, outcome: Outcome, nowMs: number): void {
    if (outcome !== 'lost' && outcome !== 'absent' && outcome !== 'left') this.#absentInARow = 0;
    if (outcome.startsWith('good')) {
      this.#good.push({ atMs: nowMs, caller, isTakenBack: outcome === 'good, then bad' });
    }
    if (outcome === 'absent') this.#absentInARow += 1;
    if (outcome === 'good' || outcome === '501' || outcome === 'left') return;
    const blamed = outcome === 'absent' ? undefined : caller;
    const others = blamed !== undefined && this.#isServed(blamed, nowMs);
    const isMore = others && this.#kept(nowMs, blamed) >= Math.max(1, this.#threshold - 1);
    this.#failures.push({ atMs: nowMs, caller: blamed, counts: !isMore });
    if (this.#absentInARow >= this.#threshold || this.#isBad(nowMs)) this.#open(nowMs);
  }

  #isServed(except: string, nowMs: number): boolean {
    return this.#good.some(({ caller, atMs }) => caller !== except && nowMs - atMs < WINDOW_MS);
  }

  /** How many failures of a caller are among the newest that are kept. */
  #kept(nowMs: number, wanted: string | undefined): number {
    const kept = new Map<string | undefined, number>();
    let all = 0;
    for (const { atMs, caller } of this.#failures.toReversed()) {
      const ofCaller = kept.get(caller) ?? 0;
      if (nowMs - atMs >= WINDOW_MS || ofCaller === this.#threshold || all === 2 * this.#threshold) continue;
      kept.set(caller, ofCaller + 1);
      all += 1;
    }
    return kept.get(wanted) ?? 0;
  }

  #isBad(nowMs: number): boolean {
    const failures = this.#failures.filter(({ atMs }) => nowMs - atMs < WINDOW_MS);
    const callers = new Set(failures.map(({ caller }) => caller));
    let count = 0;
    for (const caller of callers) {
      const its = failures.filter((failure) => failure.caller === caller).length;
      const capped = caller !== undefined && this.#isServed(caller, nowMs);
      count += capped ? Math.min(its, Math.max(1, this.#threshold - 1)) : its;
    }
    // With threshold 1 there is no part of it: there it takes a second caller.
    const [only] = callers;
    const isOne = callers.size === 1 && only !== undefined && this.#isServed(only, nowMs);
    if (count < this.#threshold || (isOne && this.#threshold === 1)) return false;
    const bucket = (atMs: number) => Math.floor(atMs / (WINDOW_MS / 10));
    const isLate = ({ atMs }: { readonly atMs: number }) => bucket(atMs) > bucket(nowMs) - 11;
    const failed = this.#failures.filter((failure) => failure.counts && isLate(failure)).length;
    const good = this.#good.filter((call) => !call.isTakenBack && isLate(call)).length;
    return failed >= this.#ratio * (failed + good);
  }

  #open(nowMs: number, caller?: string): void {
    this.#openUntilMs = nowMs + COOLDOWN_MS;
    this.#become('open', { caller });
  }

  #become(state: Model['state'], { caller = undefined as string | undefined, isSecond = false } = {}): void {
    this.state = state;
    this.generation += 1;
    this.#caller = caller;
    this.#othersWait = false;
    this.#isSecond = isSecond;
    this.#good = [];
    this.#failures = [];
    this.#absentInARow = 0;
  }
}

const anyCaller = fc.oneof(
  { weight: 3, arbitrary: fc.constant('ann' as const) },
  { weight: 2, arbitrary: fc.constantFrom(...CALLERS) },
);
// Mostly what keeps it closed for a while, or it would never be seen to decide.
const anyOutcome = fc.oneof(
  { weight: 4, arbitrary: fc.constant('good' as const) },
  { weight: 2, arbitrary: fc.constant('5xx' as const) },
  { weight: 1, arbitrary: fc.constantFrom(...OUTCOMES) },
);
const anyStep = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({ kind: fc.constant('call' as const), caller: anyCaller, outcome: anyOutcome }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('calls' as const),
      caller: anyCaller,
      outcome: anyOutcome,
      times: fc.nat(20),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('begin' as const), caller: anyCaller }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('end' as const), outcome: anyOutcome }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.nat(WINDOW_MS / 2) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.nat(2 * COOLDOWN_MS) }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constantFrom('hint bad' as const, 'hint recovered' as const) }),
  },
);

type Step = typeof anyStep extends fc.Arbitrary<infer S> ? S : never;

/** A breaker and its model, which must agree after every step. */
class Pair {
  readonly breaker: Breaker;
  readonly #model: Model;
  readonly #clock = new ManualClock(1_000_000);
  readonly #underWay: { readonly permit: Permit; readonly call: Call }[] = [];

  constructor(create: (options: BreakerOptions) => Breaker, threshold: number, ratio: number) {
    this.breaker = create({
      threshold,
      ratio,
      windowMs: WINDOW_MS,
      cooldownMs: COOLDOWN_MS,
      clock: this.#clock,
    });
    this.#model = new Model(threshold, ratio);
  }

  do(step: Step): void {
    if (step.kind === 'call') this.#call(step.caller, step.outcome);
    else if (step.kind === 'calls')
      for (let i = 0; i < step.times; i += 1) this.#call(step.caller, step.outcome);
    else if (step.kind === 'begin') this.#begin(step.caller);
    else if (step.kind === 'end') this.#end(this.#underWay.shift(), step.outcome);
    else if (step.kind === 'wait') this.#wait(step.ms);
    else this.#hint(step.kind);
    expect(this.breaker.state).toBe(this.#model.state);
  }

  #call(caller: string, outcome: Outcome): void {
    if (this.#begin(caller)) this.#end(this.#underWay.pop(), outcome);
  }

  #begin(caller: string): boolean {
    const call = this.#model.begin(caller);
    const isAdmitted = this.breaker.admitsCaller(caller);
    const permit = this.breaker.tryAcquire(caller);
    expect([isAdmitted, permit !== undefined]).toEqual([call !== undefined, call !== undefined]);
    if (permit && call) this.#underWay.push({ permit, call });
    return permit !== undefined;
  }

  #end(underWay: { readonly permit: Permit; readonly call: Call } | undefined, outcome: Outcome): void {
    if (!underWay) return;
    const { permit, call } = underWay;
    this.#model.end(call, outcome, this.#clock.ticks());
    report(permit, outcome);
  }

  #wait(ms: number): void {
    this.#clock.advance(ms);
    this.#model.tick(this.#clock.ticks());
  }

  #hint(kind: 'hint bad' | 'hint recovered'): void {
    if (kind === 'hint bad') {
      this.#model.hintBad(this.#clock.ticks());
      this.breaker.hintFailing('bad');
    } else {
      this.#model.hintRecovered();
      this.breaker.hintRecovered();
    }
  }
}

function report(permit: Permit, outcome: Outcome): void {
  if (outcome.startsWith('good')) permit.succeed();
  if (outcome === 'good, then bad') permit.fail('bad');
  if (outcome === '5xx') permit.fail('bad', true);
  if (outcome === 'lost') permit.fail('bad');
  if (outcome === 'absent') permit.fail('absent');
  if (outcome === '501') permit.abandon(true);
  if (outcome === 'left') permit.abandon();
}

const KINDS: [name: string, create: (options: BreakerOptions) => Breaker][] = [
  ['of one thread', (options) => new CircuitBreaker(options)],
  [
    'of several threads',
    (options) => {
      const buffer = SharedCells.allocate(SharedCircuitBreaker.sizeFor(options.threshold));
      return new SharedCircuitBreaker({
        ...options,
        share: { cells: new SharedCells(buffer, 0), threadNumber: 0, threadCount: 1 },
      });
    },
  ],
];

describe.each(KINDS)('a breaker %s', (_name, create) => {
  it('does what its documentation says, whatever happens', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 4 }),
        fc.constantFrom(0, 0.1, 0.25, 0.4, 0.5, 0.6, 0.75, 1),
        fc.array(anyStep, { minLength: 50, maxLength: 250 }),
        (threshold, ratio, steps) => {
          const pair = new Pair(create, threshold, ratio);
          for (const step of steps) pair.do(step);
          pair.breaker.dispose();
        },
      ),
      cases(300),
    );
  });
});
