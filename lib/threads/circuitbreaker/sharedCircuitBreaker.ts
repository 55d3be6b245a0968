import { CallPermit, type PermitIssuer } from '../../circuitbreaker/callPermit.ts';
import {
  type Breaker,
  type BreakerEvent,
  type BreakerOptions,
  type BreakerState,
  checkedRules,
  HELD_BY_OPTION,
  type Permit,
  RETRY_TRIAL_MS,
  type Tell,
} from '../../circuitbreaker/contract.ts';
import {
  admissionOf,
  afterAbandonedTrial,
  afterFailedTrial,
  type HalfOpen,
  halfOpen,
  isAdmitting,
  type Next,
  type Open,
  withTrialOf,
} from '../../circuitbreaker/states.ts';
import { type Cancel, type Clock, systemClock } from '../../clock/clock.ts';
import type { Admission, FailureKind } from '../../exchange/attempt.ts';
import { listener } from '../../util/listener.ts';
import type { Cells, CellsSize, Share } from '../cells.ts';
import { OwnCells } from '../ownCells.ts';
import { type HashedCaller, hashOf, SharedCallRecord } from './sharedCallRecord.ts';

export interface SharedBreakerOptions extends BreakerOptions {
  /** This thread's part, of `SharedCircuitBreaker.sizeFor`. */
  readonly share: Share;
  /**
   * Under the lock of these, `mayOpen` is asked and the breaker opened, so that two breakers that may not both be open
   * do not open in two threads at the same time. Never those of `share`. Default: `mayOpen` looks at no other breaker.
   */
  readonly openings?: Cells | undefined;
}

const STATES = ['closed', 'open', 'half-open'] as const;
const FAILURES = ['bad', 'absent'] as const;
const CLOSED = STATES.indexOf('closed');

/** Whole numbers: the state, and how many transitions there were, so that a call of an earlier state is told apart. */
const STATE = 0;
const GENERATION = 1;
/** The thread, plus 1, that waits for the end of the cooldown (open) or makes the trial (half-open). */
const KEEPER = 2;
const FAILURE = 3;
const IS_SECOND = 4;
/** `failedCaller` of open, `trialOf` of half-open. */
const CALLER = 5;
const OTHERS_WAIT = 6;
const NOBODY = 0;

/** Fractions. */
const UNTIL = 0;

const OWN_SIZE = { whole: 7, fractions: 1 };
const CLOSED_STATE = { kind: 'closed' } as const;

type State = typeof CLOSED_STATE | Open<number> | HalfOpen<number>;

/**
 * One breaker that several threads share: they count calls together and make one trial among all of them. Its
 * numbers lie in cells; what happens to every call takes no lock, what is rare takes one for some microseconds.
 */
export class SharedCircuitBreaker implements Breaker {
  readonly threshold: number;
  readonly windowMs: number;
  readonly #share: Share;
  readonly #record: SharedCallRecord;
  readonly #cooldownMs: number;
  readonly #clock: Clock;
  readonly #mayOpen: (failure: FailureKind) => boolean;
  readonly #openings: Cells;
  readonly #onEvent: (event: BreakerEvent) => void;
  readonly #onAdmission: (admission: Admission) => void;
  #cancelCooldown: Cancel = () => {};
  #disposed = false;

  constructor(options: Readonly<SharedBreakerOptions>) {
    this.threshold = options.threshold;
    this.windowMs = options.windowMs;
    this.#share = options.share;
    this.#record = new SharedCallRecord(checkedRules(options), options.share.cells, OWN_SIZE);
    this.#cooldownMs = options.cooldownMs;
    this.#clock = options.clock ?? systemClock;
    this.#mayOpen = options.mayOpen ?? (() => true);
    this.#openings = options.openings ?? new OwnCells({ whole: 0 });
    this.#onEvent = listener(options.onEvent);
    this.#onAdmission = listener(options.onAdmission);
  }

  static sizeFor(threshold: number): CellsSize {
    const { whole, fractions } = SharedCallRecord.sizeFor(threshold);
    return { whole: OWN_SIZE.whole + whole, fractions: OWN_SIZE.fractions + fractions };
  }

  get state(): BreakerState {
    return STATES[this.#get(STATE)] as BreakerState;
  }

  get failure(): FailureKind | undefined {
    return this.#isClosed ? undefined : FAILURES[this.#get(FAILURE)];
  }

  get admission(): Admission {
    return admissionOf(this.#read());
  }

  get admits(): boolean {
    return this.#isClosed || isAdmitting(this.#read());
  }

  get retryAfterMs(): number {
    const state = this.#read();
    if (state.kind === 'open') return Math.max(1, state.untilMs - this.#clock.ticks());
    return isAdmitting(state) ? 0 : RETRY_TRIAL_MS;
  }

  admitsCaller(caller: string): boolean {
    return this.#isClosed || admits(this.#read(), hashOf(caller));
  }

  tryAcquire(caller: string, address = caller): Permit | undefined {
    // Before the state: a permit of a state that ends just now is one of an earlier state.
    const generation = this.#get(GENERATION);
    if (this.#isClosed) return new CallPermit(this.#issuer, generation, caller, address);
    return this.#change((tell) => {
      const state = this.#read();
      if (!admits(state, hashOf(caller))) {
        this.turnedAway(caller);
        return undefined;
      }
      if (state.kind !== 'closed') this.#become(withTrialOf(hashOf(caller), state), tell);
      return new CallPermit(this.#issuer, this.#get(GENERATION), caller, address);
    });
  }

  hasServedAnother(caller: string, address: string): boolean {
    return this.#isClosed && this.#record.hasServedAnother(hashed({ caller, address }), this.#clock.ticks());
  }

  turnedAway(caller: string): void {
    if (this.state !== 'half-open') return;
    const trialOf = this.#get(CALLER);
    // No transition: the trial under way goes on.
    if (trialOf !== NOBODY && trialOf !== hashOf(caller)) this.#share.cells.set(OTHERS_WAIT, 1);
  }

  hintFailing(failure: FailureKind): void {
    this.#change((tell) => {
      if (!this.#isClosed) return;
      if (failure === 'bad' && this.#record.hasServed(this.#clock.ticks())) return;
      this.#decideOpening(failure, (mayOpen) => {
        if (mayOpen) this.#become({ kind: 'open', failure, failedCaller: undefined }, tell, true);
      });
    });
  }

  hintRecovered(): void {
    this.#change((tell) => {
      const state = this.#read();
      if (state.kind === 'open') this.#become(halfOpen(state.failure), tell, true);
    });
  }

  tellAdmission(): void {
    this.#change(() => this.#onAdmission(this.admission));
  }

  dispose(): void {
    this.#cancelCooldown();
    this.#disposed = true;
  }

  /** Takes over what a thread that has ended was to do: wait for the end of the cooldown, or report a trial. */
  leave(seat: number): void {
    this.#share.cells.leave(seat);
    this.#change((tell) => {
      if (this.#get(KEEPER) !== seat + 1) return;
      const state = this.#read();
      if (state.kind === 'half-open') this.#become(halfOpen(state.failure), tell);
      else this.#waitForCooldown();
    });
  }

  readonly #issuer: PermitIssuer = {
    succeeded: (permit) => {
      if (!this.#isCurrent(permit)) return;
      if (!this.#isClosed) this.#report(permit, (_state, tell) => this.#become(CLOSED_STATE, tell));
      if (this.#isClosed) permit.countedIn = this.#record.good(hashed(permit), this.#clock.ticks());
    },
    failed: (permit, failure, responded) => {
      this.#report(permit, (state, tell) => {
        if (state.kind === 'closed') this.#countFailure(permit, { failure, responded }, tell);
        else if (state.kind === 'half-open') this.#trialFailed(state, permit.caller, failure, tell);
      });
    },
    abandoned: (permit, responded) => {
      if (this.#isClosed && !responded) return;
      this.#report(permit, (state, tell) => {
        if (state.kind === 'closed') this.#record.responded();
        else if (state.kind === 'half-open')
          this.#become(afterAbandonedTrial(state, hashOf(permit.caller)), tell);
      });
    },
  };

  get #isClosed(): boolean {
    return this.#get(STATE) === CLOSED;
  }

  #isCurrent({ generation }: CallPermit): boolean {
    return generation === this.#get(GENERATION) && !this.#disposed;
  }

  #report(permit: CallPermit, report: (state: State, tell: Tell) => void): void {
    if (!this.#isCurrent(permit)) return;
    this.#change((tell) => {
      if (this.#isCurrent(permit)) report(this.#read(), tell);
    });
  }

  #countFailure(
    permit: CallPermit,
    { failure, responded }: { readonly failure: FailureKind; readonly responded: boolean },
    tell: Tell,
  ): void {
    const nowMs = this.#clock.ticks();
    if (responded) this.#record.responded();
    if (permit.countedIn !== undefined) this.#record.takeBackGood(permit.countedIn, nowMs);
    const { count, opensFor, held } = this.#record.failed(failure, hashed(permit), nowMs);
    if (opensFor === undefined) {
      tell({ kind: 'failure', failure, count, held });
      return;
    }
    this.#decideOpening(opensFor, (mayOpen) => {
      tell({ kind: 'failure', failure, count, held: mayOpen ? held : HELD_BY_OPTION });
      if (mayOpen) this.#become({ kind: 'open', failure: opensFor, failedCaller: undefined }, tell);
    });
  }

  #trialFailed(state: HalfOpen<number>, caller: string, failure: FailureKind, tell: Tell): void {
    const settle = (mayOpen: boolean) => {
      const held = mayOpen ? undefined : HELD_BY_OPTION;
      tell({ kind: 'failure', failure, count: this.threshold, held });
      this.#become(mayOpen ? afterFailedTrial(state, hashOf(caller), failure) : CLOSED_STATE, tell);
    };
    // Opening for another reason than before is a decision of its own.
    if (failure === state.failure) settle(true);
    else this.#decideOpening(failure, settle);
  }

  /** Whether it may open, and what follows from that, while no other breaker of these openings decides. */
  #decideOpening(failure: FailureKind, settle: (mayOpen: boolean) => void): void {
    this.#openings.exclusively(() => settle(this.#mayOpen(failure)));
  }

  #read(): State {
    const kind = this.state;
    if (kind === 'closed') return CLOSED_STATE;
    const failure = FAILURES[this.#get(FAILURE)] as FailureKind;
    const caller = this.#get(CALLER) === NOBODY ? undefined : this.#get(CALLER);
    if (kind === 'open') {
      return { kind, failure, failedCaller: caller, untilMs: this.#share.cells.fractions[UNTIL] as number };
    }
    const [isSecond, othersWait] = [this.#get(IS_SECOND) === 1, this.#get(OTHERS_WAIT) === 1];
    return { kind, failure, trialOf: caller, isSecond, othersWait };
  }

  /** The one place where the state changes, always within `#change`. */
  #become(next: Next<number>, tell: Tell, hinted = false): void {
    const before = this.#read();
    this.#cancelCooldown();
    this.#write(next);
    this.#share.cells.add(GENERATION, 1);
    if (next.kind === 'open') this.#waitForCooldown();
    if (admissionOf(before) !== this.admission) this.#onAdmission(this.admission);
    if (before.kind === next.kind) return;
    tell({ kind: 'transition', from: before.kind, to: next.kind, failure: this.failure, hinted });
  }

  #write(next: Next<number>): void {
    const { cells, seat } = this.#share;
    if (next.kind === 'closed') this.#record.clear();
    if (next.kind === 'open') cells.fractions[UNTIL] = this.#clock.ticks() + this.#cooldownMs;
    const isHalfOpen = next.kind === 'half-open';
    if (next.kind !== 'closed') cells.set(FAILURE, FAILURES.indexOf(next.failure));
    cells.set(CALLER, callerIn(next) ?? NOBODY);
    cells.set(OTHERS_WAIT, 0);
    cells.set(IS_SECOND, Number(isHalfOpen && next.isSecond));
    cells.set(KEEPER, isHalfOpen && next.trialOf !== undefined ? seat + 1 : NOBODY);
    cells.set(STATE, STATES.indexOf(next.kind));
  }

  #waitForCooldown(): void {
    const { cells, seat } = this.#share;
    const generation = cells.get(GENERATION);
    cells.set(KEEPER, seat + 1);
    const leftMs = Math.max(0, (cells.fractions[UNTIL] as number) - this.#clock.ticks());
    this.#cancelCooldown = this.#clock.after(leftMs, () => {
      this.#change((tell) => {
        const state = this.#read();
        if (generation === cells.get(GENERATION) && state.kind === 'open')
          this.#become(halfOpen(state.failure), tell);
      });
    });
  }

  #get(index: number): number {
    return this.#share.cells.get(index);
  }

  /** Changes the state while no other thread does; what there is to tell is told after it is settled. */
  #change<T>(action: (tell: Tell) => T): T {
    const events: BreakerEvent[] = [];
    const result = this.#share.cells.exclusively(() => action((event) => void events.push(event)));
    for (const event of events) this.#onEvent(event);
    return result;
  }
}

function hashed({ caller, address }: Pick<CallPermit, 'caller' | 'address'>): HashedCaller {
  const hash = hashOf(address);
  return { address: hash, caller: caller === address ? hash : hashOf(caller) };
}

function callerIn(next: Next<number>): number | undefined {
  if (next.kind === 'closed') return undefined;
  return next.kind === 'open' ? next.failedCaller : next.trialOf;
}

function admits(state: State, caller: number): boolean {
  return isAdmitting(state) && !(state.kind === 'open' && state.failedCaller === caller);
}
