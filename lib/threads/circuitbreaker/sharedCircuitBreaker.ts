import { CallPermit, type PermitIssuer } from '../../circuitbreaker/callPermit.ts';
import {
  type Breaker,
  type BreakerEvent,
  type BreakerOptions,
  type BreakerState,
  completeOptions,
  type Permit,
} from '../../circuitbreaker/contract.ts';
import {
  afterFailedTrial,
  afterFailure,
  type FailureOutcome,
  transitionOf,
} from '../../circuitbreaker/outcomes.ts';
import {
  admissionOf,
  admitsAnybody,
  admitsCaller,
  afterAbandonedTrial,
  CLOSED,
  failureOf,
  halfOpen,
  type Next,
  openForAll,
  retryAfterMs,
  withTrialOf,
} from '../../circuitbreaker/states.ts';
import type { Cancel } from '../../clock/clock.ts';
import type { Admission, FailureKind } from '../../exchange/attempt.ts';
import type { Cells, CellsSize, Share } from '../cells.ts';
import { OwnCells } from '../ownCells.ts';
import { BreakerCells, type SharedState } from './breakerCells.ts';
import { type HashedCaller, hashOf, SharedCallRecord } from './sharedCallRecord.ts';

export interface SharedBreakerOptions extends BreakerOptions {
  /** This thread's part, of `SharedCircuitBreaker.sizeFor`. */
  readonly share: Share;
  /**
   * Under the lock of these cells `mayOpen` is asked and the breaker opened, so that two breakers that may not both be
   * open do not open in two threads at the same time. Never those of `share`. Default: `mayOpen` looks at no other breaker.
   */
  readonly openings?: Cells | undefined;
}

const NOTHING: readonly BreakerEvent[] = [];

/**
 * One breaker that several threads share: they count calls together and make one trial among all of them. What happens
 * to every call takes no lock, and what is rare takes one for some microseconds.
 */
export class SharedCircuitBreaker implements Breaker, PermitIssuer {
  readonly #options: Required<BreakerOptions>;
  readonly #share: Share;
  readonly #cells: BreakerCells;
  readonly #record: SharedCallRecord;
  readonly #openings: Cells;
  #cancelCooldown: Cancel = () => {};
  #isDisposed = false;

  constructor(options: Readonly<SharedBreakerOptions>) {
    const { share, openings = new OwnCells({ whole: 0 }) } = options;
    this.#options = completeOptions(options);
    this.#share = share;
    this.#cells = new BreakerCells(share.cells);
    this.#record = new SharedCallRecord(this.#options, share.cells, BreakerCells.size);
    this.#openings = openings;
  }

  static sizeFor(threshold: number): CellsSize {
    const { whole, fractions } = SharedCallRecord.sizeFor(threshold);
    return { whole: BreakerCells.size.whole + whole, fractions: BreakerCells.size.fractions + fractions };
  }

  get state(): BreakerState {
    return this.#cells.kind;
  }

  get failure(): FailureKind | undefined {
    return failureOf(this.#cells.state);
  }

  get admission(): Admission {
    return admissionOf(this.#cells.state);
  }

  get admits(): boolean {
    return admitsAnybody(this.#cells.state);
  }

  get retryAfterMs(): number {
    return retryAfterMs(this.#cells.state, this.#options.clock.ticks());
  }

  admitsCaller(caller: string): boolean {
    return this.#cells.isClosed || admitsCaller(this.#cells.state, hashOf(caller));
  }

  tryAcquire(caller: string, address = caller): Permit | undefined {
    // Read before the state: a permit of a state that ends just now is one of an earlier state.
    const { generation } = this.#cells;
    if (this.#cells.isClosed) return new CallPermit(this, generation, caller, address);
    let permit: Permit | undefined;
    this.#change((state) => {
      const events = state.kind === 'closed' ? NOTHING : this.#beginTrial(state, caller);
      if (events) permit = new CallPermit(this, this.#cells.generation, caller, address);
      return events ?? NOTHING;
    });
    return permit;
  }

  hasServedAnother(caller: string, address: string): boolean {
    const { clock } = this.#options;
    return this.#cells.isClosed && this.#record.hasServedAnother(hashed({ caller, address }), clock.ticks());
  }

  turnedAway(caller: string): void {
    const { state } = this.#cells;
    if (state.kind !== 'half-open' || state.trialOf === undefined) return;
    // No transition, because the trial goes on.
    if (state.trialOf !== hashOf(caller)) this.#cells.othersWait();
  }

  hintFailing(failure: FailureKind): void {
    this.#change(({ kind }) => {
      const { clock, mayOpen } = this.#options;
      if (kind !== 'closed') return NOTHING;
      if (failure === 'bad' && this.#record.hasServed(clock.ticks())) return NOTHING;
      return this.#openings.exclusively(() =>
        mayOpen(failure) ? this.#become(openForAll(failure), true) : NOTHING,
      );
    });
  }

  hintRecovered(): void {
    this.#change((state) => (state.kind === 'open' ? this.#become(halfOpen(state.failure), true) : NOTHING));
  }

  tellAdmission(): void {
    this.#share.cells.exclusively(() => this.#options.onAdmission(this.admission));
  }

  dispose(): void {
    this.#cancelCooldown();
    this.#isDisposed = true;
  }

  /** Takes over what a thread that has ended was to do: wait for the end of the cooldown, or report a trial. */
  leave(threadNumber: number): void {
    this.#share.cells.leave(threadNumber);
    this.#change((state) => {
      if (!this.#cells.isInCharge(threadNumber)) return NOTHING;
      if (state.kind === 'half-open') return this.#become(halfOpen(state.failure));
      this.#waitForCooldown();
      return NOTHING;
    });
  }

  succeeded(permit: CallPermit): void {
    if (!this.#isCurrent(permit)) return;
    if (!this.#cells.isClosed) this.#report(permit, () => this.#become(CLOSED));
    if (!this.#cells.isClosed) return;
    permit.countedIn = this.#record.good(hashed(permit), this.#options.clock.ticks());
  }

  failed(permit: CallPermit, failure: FailureKind, responded: boolean): void {
    this.#report(permit, (state) => {
      const { clock, mayOpen } = this.#options;
      if (state.kind === 'half-open') {
        return this.#openings.exclusively(() =>
          this.#follow(afterFailedTrial(state, hashOf(permit.caller), failure, this.#options)),
        );
      }
      const by = { ...hashed(permit), countedIn: permit.countedIn };
      const verdict = this.#record.failed(by, { failure, responded, nowMs: clock.ticks() });
      const follow = () => this.#follow(afterFailure(failure, verdict, mayOpen));
      return verdict.opensFor === undefined ? follow() : this.#openings.exclusively(follow);
    });
  }

  abandoned(permit: CallPermit, responded: boolean): void {
    if (this.#cells.isClosed && !responded) return;
    this.#report(permit, (state) => {
      if (state.kind === 'half-open') return this.#become(afterAbandonedTrial(state, hashOf(permit.caller)));
      if (responded) this.#record.responded();
      return NOTHING;
    });
  }

  #isCurrent({ generation }: CallPermit): boolean {
    return generation === this.#cells.generation && !this.#isDisposed;
  }

  #report(permit: CallPermit, report: (state: SharedState) => readonly BreakerEvent[]): void {
    if (!this.#isCurrent(permit)) return;
    this.#change((state) => (this.#isCurrent(permit) ? report(state) : NOTHING));
  }

  /** What there is to tell of a trial that begins; undefined: the caller may make none. */
  #beginTrial(
    state: Exclude<SharedState, typeof CLOSED>,
    caller: string,
  ): readonly BreakerEvent[] | undefined {
    if (admitsCaller(state, hashOf(caller))) return this.#become(withTrialOf(hashOf(caller), state));
    this.turnedAway(caller);
    return undefined;
  }

  #follow({ event, next }: FailureOutcome<number>): readonly BreakerEvent[] {
    return next ? [event, ...this.#become(next)] : [event];
  }

  /** The one place where the state changes, always within `#change`. Returns what there is to tell of it. */
  #become(next: Next<number>, hinted = false): readonly BreakerEvent[] {
    const before = this.#cells.state;
    this.#cancelCooldown();
    if (next.kind === 'closed') this.#record.clear();
    if (next.kind === 'open') this.#cells.untilMs = this.#options.clock.ticks() + this.#options.cooldownMs;
    this.#cells.write(next);
    if (next.kind === 'open') this.#waitForCooldown();
    if (next.kind === 'half-open' && next.trialOf !== undefined)
      this.#cells.putInCharge(this.#share.threadNumber);
    if (admissionOf(before) !== this.admission) this.#options.onAdmission(this.admission);
    const transition = transitionOf(before, next, hinted);
    return transition ? [transition] : NOTHING;
  }

  #waitForCooldown(): void {
    const { clock } = this.#options;
    const { generation, untilMs } = this.#cells;
    this.#cells.putInCharge(this.#share.threadNumber);
    this.#cancelCooldown = clock.after(Math.max(0, untilMs - clock.ticks()), () => {
      this.#change((state) => {
        const isOver = state.kind === 'open' && generation === this.#cells.generation;
        return isOver ? this.#become(halfOpen(state.failure)) : NOTHING;
      });
    });
  }

  /** Runs `action` while no other thread changes the breaker. What it returns is told after the state is settled. */
  #change(action: (state: SharedState) => readonly BreakerEvent[]): void {
    const events = this.#share.cells.exclusively(() => action(this.#cells.state));
    for (const event of events) this.#options.onEvent(event);
  }
}

function hashed({ caller, address }: Pick<CallPermit, 'caller' | 'address'>): HashedCaller {
  const hash = hashOf(address);
  return { address: hash, caller: caller === address ? hash : hashOf(caller) };
}
