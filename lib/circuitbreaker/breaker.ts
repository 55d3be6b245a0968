import type { Cancel } from '../clock/clock.ts';
import type { Admission, FailureKind } from '../exchange/attempt.ts';
import { CallPermit, type PermitIssuer } from './callPermit.ts';
import { CallRecord } from './callRecord.ts';
import {
  type Breaker,
  type BreakerEvent,
  type BreakerOptions,
  type BreakerState,
  completeOptions,
  type Permit,
} from './contract.ts';
import { afterFailedTrial, afterFailure, transitionOf } from './outcomes.ts';
import {
  admissionOf,
  admitsAnybody,
  admitsCaller,
  afterAbandonedTrial,
  CLOSED,
  type Closed,
  failureOf,
  type HalfOpen,
  halfOpen,
  type Next,
  type Open,
  openForAll,
  retryAfterMs,
  withTrialOf,
} from './states.ts';

type State =
  | (Closed & { readonly record: CallRecord })
  | (Open<string> & { readonly cancelCooldown: Cancel })
  | HalfOpen<string>;

/** Why the state changes. */
interface Reason {
  readonly hinted?: boolean;
  /** What is told before the change itself. */
  readonly event?: BreakerEvent;
}

/** The breaker of a gateway of one thread. Threads that share a breaker have `SharedCircuitBreaker` instead. */
export class CircuitBreaker implements Breaker, PermitIssuer {
  readonly #options: Required<BreakerOptions>;
  #state: State;
  /** Rises with each state, so that a report of an earlier one is told apart. */
  #generation = 0;

  constructor(options: Readonly<BreakerOptions>) {
    this.#options = completeOptions(options);
    this.#state = { kind: 'closed', record: new CallRecord(this.#options) };
  }

  get state(): BreakerState {
    return this.#state.kind;
  }

  get failure(): FailureKind | undefined {
    return failureOf(this.#state);
  }

  get admission(): Admission {
    return admissionOf(this.#state);
  }

  get admits(): boolean {
    return admitsAnybody(this.#state);
  }

  get retryAfterMs(): number {
    return retryAfterMs(this.#state, this.#options.clock.ticks());
  }

  admitsCaller(caller: string): boolean {
    return admitsCaller(this.#state, caller);
  }

  tryAcquire(caller: string, address = caller): Permit | undefined {
    const state = this.#state;
    if (state.kind !== 'closed') {
      if (!this.admitsCaller(caller)) {
        this.turnedAway(caller);
        return undefined;
      }
      this.#become(withTrialOf(caller, state));
    }
    return new CallPermit(this, this.#generation, caller, address);
  }

  hasServedAnother(caller: string, address: string): boolean {
    const state = this.#state;
    return (
      state.kind === 'closed' &&
      state.record.hasServedAnother({ caller, address }, this.#options.clock.ticks())
    );
  }

  turnedAway(caller: string): void {
    const state = this.#state;
    if (state.kind !== 'half-open' || state.trialOf === undefined || state.trialOf === caller) return;
    // No transition, because the trial goes on.
    this.#state = { ...state, othersWait: true };
  }

  hintFailing(failure: FailureKind): void {
    const { clock, mayOpen } = this.#options;
    if (this.#state.kind !== 'closed') return;
    if (failure === 'bad' && this.#state.record.hasServed(clock.ticks())) return;
    if (mayOpen(failure)) this.#become(openForAll(failure), { hinted: true });
  }

  hintRecovered(): void {
    if (this.#state.kind === 'open') this.#become(halfOpen(this.#state.failure), { hinted: true });
  }

  tellAdmission(): void {
    this.#options.onAdmission(this.admission);
  }

  dispose(): void {
    if (this.#state.kind === 'open') this.#state.cancelCooldown();
    // NaN does not even equal itself: no permit is current any more.
    this.#generation = Number.NaN;
  }

  succeeded(permit: CallPermit): void {
    if (permit.generation !== this.#generation) return;
    if (this.#state.kind !== 'closed') this.#become(CLOSED);
    if (this.#state.kind !== 'closed') return;
    permit.countedIn = this.#state.record.good(permit, this.#options.clock.ticks());
  }

  failed(permit: CallPermit, failure: FailureKind, responded: boolean): void {
    const state = this.#state;
    if (permit.generation !== this.#generation || state.kind === 'open') return;
    const { clock, mayOpen, onEvent } = this.#options;
    const { event, next } =
      state.kind === 'half-open'
        ? afterFailedTrial(state, permit.caller, failure, this.#options)
        : afterFailure(
            failure,
            state.record.failed(permit, { failure, responded, nowMs: clock.ticks() }),
            mayOpen,
          );
    if (next) this.#become(next, { event });
    else onEvent(event);
  }

  abandoned({ generation, caller }: CallPermit, responded: boolean): void {
    if (generation !== this.#generation) return;
    const state = this.#state;
    if (state.kind === 'closed' && responded) state.record.responded();
    if (state.kind === 'half-open') this.#become(afterAbandonedTrial(state, caller));
  }

  /** The one place where the state changes. Listeners hear of `event`, and of the change, once the state is settled. */
  #become(next: Next<string>, { hinted = false, event }: Reason = {}): void {
    const before = this.#state;
    if (before.kind === 'open') before.cancelCooldown();
    this.#state = this.#begin(next);
    this.#generation += 1;
    const { onAdmission, onEvent } = this.#options;
    if (admissionOf(before) !== this.admission) onAdmission(this.admission);
    if (event) onEvent(event);
    const transition = transitionOf(before, next, hinted);
    if (transition) onEvent(transition);
  }

  #begin(next: Next<string>): State {
    const { clock, cooldownMs } = this.#options;
    if (next.kind === 'closed') return { kind: 'closed', record: new CallRecord(this.#options) };
    if (next.kind === 'half-open') return next;
    const cancelCooldown = clock.after(cooldownMs, () => this.#become(halfOpen(next.failure)));
    return { ...next, untilMs: clock.ticks() + cooldownMs, cancelCooldown };
  }
}
