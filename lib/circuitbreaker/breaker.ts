import { type Cancel, type Clock, systemClock } from '../clock/clock.ts';
import type { Admission, FailureKind } from '../exchange/attempt.ts';
import { listener } from '../util/listener.ts';
import { CallPermit, type PermitIssuer } from './callPermit.ts';
import { CallRecord } from './callRecord.ts';
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
} from './contract.ts';
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
} from './states.ts';

type State =
  | { readonly kind: 'closed'; readonly record: CallRecord }
  | (Open<string> & { readonly cancel: Cancel })
  | HalfOpen<string>;

/** The breaker of a gateway of one thread. */
export class CircuitBreaker implements Breaker {
  readonly threshold: number;
  readonly windowMs: number;
  readonly #rules: ReturnType<typeof checkedRules>;
  readonly #cooldownMs: number;
  readonly #clock: Clock;
  readonly #mayOpen: (failure: FailureKind) => boolean;
  readonly #onEvent: (event: BreakerEvent) => void;
  readonly #onAdmission: (admission: Admission) => void;
  #state: State;
  #generation = 0;

  constructor(options: Readonly<BreakerOptions>) {
    this.#rules = checkedRules(options);
    this.threshold = options.threshold;
    this.windowMs = options.windowMs;
    this.#cooldownMs = options.cooldownMs;
    this.#clock = options.clock ?? systemClock;
    this.#mayOpen = options.mayOpen ?? (() => true);
    this.#onEvent = listener(options.onEvent);
    this.#onAdmission = listener(options.onAdmission);
    this.#state = { kind: 'closed', record: new CallRecord(this.#rules) };
  }

  get state(): BreakerState {
    return this.#state.kind;
  }

  get failure(): FailureKind | undefined {
    return this.#state.kind === 'closed' ? undefined : this.#state.failure;
  }

  get admission(): Admission {
    return admissionOf(this.#state);
  }

  get admits(): boolean {
    return isAdmitting(this.#state);
  }

  get retryAfterMs(): number {
    if (this.#state.kind === 'open') return Math.max(1, this.#state.untilMs - this.#clock.ticks());
    return this.admits ? 0 : RETRY_TRIAL_MS;
  }

  admitsCaller(caller: string): boolean {
    return this.admits && !(this.#state.kind === 'open' && this.#state.failedCaller === caller);
  }

  tryAcquire(caller: string, address = caller): Permit | undefined {
    const state = this.#state;
    if (state.kind !== 'closed') {
      if (!this.admitsCaller(caller)) {
        this.turnedAway(caller);
        return undefined;
      }
      this.#change((tell) => this.#become(withTrialOf(caller, state), tell));
    }
    return new CallPermit(this.#issuer, this.#generation, caller, address);
  }

  hasServedAnother(caller: string, address: string): boolean {
    const state = this.#state;
    return state.kind === 'closed' && state.record.hasServedAnother({ caller, address }, this.#clock.ticks());
  }

  turnedAway(caller: string): void {
    const state = this.#state;
    if (state.kind !== 'half-open' || state.trialOf === undefined || state.trialOf === caller) return;
    // No transition: the trial under way goes on.
    this.#state = { ...state, othersWait: true };
  }

  hintFailing(failure: FailureKind): void {
    this.#change((tell) => {
      if (this.#state.kind !== 'closed') return;
      if (failure === 'bad' && this.#state.record.hasServed(this.#clock.ticks())) return;
      if (this.#mayOpen(failure))
        this.#become({ kind: 'open', failure, failedCaller: undefined }, tell, true);
    });
  }

  hintRecovered(): void {
    this.#change((tell) => {
      if (this.#state.kind === 'open') this.#become(halfOpen(this.#state.failure), tell, true);
    });
  }

  tellAdmission(): void {
    this.#onAdmission(this.admission);
  }

  dispose(): void {
    if (this.#state.kind === 'open') this.#state.cancel();
    // Not even itself: no permit is current any more.
    this.#generation = Number.NaN;
  }

  readonly #issuer: PermitIssuer = {
    succeeded: (permit) => {
      if (permit.generation !== this.#generation) return;
      if (this.#state.kind !== 'closed') this.#change((tell) => this.#become({ kind: 'closed' }, tell));
      if (this.#state.kind !== 'closed') return;
      permit.countedIn = this.#state.record.good(permit, this.#clock.ticks());
    },
    failed: (permit, failure, responded) => {
      if (permit.generation !== this.#generation) return;
      this.#change((tell) => {
        const state = this.#state;
        if (state.kind === 'closed') this.#countFailure(state.record, permit, { failure, responded }, tell);
        else if (state.kind === 'half-open') this.#trialFailed(state, permit.caller, failure, tell);
      });
    },
    abandoned: ({ generation, caller }, responded) => {
      if (generation !== this.#generation) return;
      const state = this.#state;
      if (state.kind === 'closed' && responded) state.record.responded();
      if (state.kind === 'half-open')
        this.#change((tell) => this.#become(afterAbandonedTrial(state, caller), tell));
    },
  };

  #countFailure(
    record: CallRecord,
    permit: CallPermit,
    { failure, responded }: { readonly failure: FailureKind; readonly responded: boolean },
    tell: Tell,
  ): void {
    const nowMs = this.#clock.ticks();
    if (responded) record.responded();
    if (permit.countedIn !== undefined) record.takeBackGood(permit.countedIn, nowMs);
    const { count, opensFor, held } = record.failed(failure, permit, nowMs);
    const opens = opensFor !== undefined && this.#mayOpen(opensFor);
    tell({ kind: 'failure', failure, count, held: opensFor && !opens ? HELD_BY_OPTION : held });
    if (opens) this.#become({ kind: 'open', failure: opensFor, failedCaller: undefined }, tell);
  }

  #trialFailed(state: HalfOpen<string>, caller: string, failure: FailureKind, tell: Tell): void {
    // Opening for another reason than before is a decision of its own.
    const isHeld = failure !== state.failure && !this.#mayOpen(failure);
    tell({ kind: 'failure', failure, count: this.threshold, held: isHeld ? HELD_BY_OPTION : undefined });
    this.#become(isHeld ? { kind: 'closed' } : afterFailedTrial(state, caller, failure), tell);
  }

  /** The one place where the state changes, always within `#change`. */
  #become(next: Next<string>, tell: Tell, hinted = false): void {
    const before = this.#state;
    if (before.kind === 'open') before.cancel();
    this.#state = this.#begun(next);
    this.#generation += 1;
    if (admissionOf(before) !== this.admission) this.#onAdmission(this.admission);
    if (before.kind === next.kind) return;
    tell({ kind: 'transition', from: before.kind, to: next.kind, failure: this.failure, hinted });
  }

  #begun(next: Next<string>): State {
    if (next.kind === 'closed') return { kind: 'closed', record: new CallRecord(this.#rules) };
    if (next.kind === 'half-open') return next;
    const cancel = this.#clock.after(this.#cooldownMs, () => {
      this.#change((tell) => this.#become(halfOpen(next.failure), tell));
    });
    return { ...next, untilMs: this.#clock.ticks() + this.#cooldownMs, cancel };
  }

  /** What there is to tell is told after the state is settled. */
  #change(action: (tell: Tell) => void): void {
    const events: BreakerEvent[] = [];
    action((event) => void events.push(event));
    for (const event of events) this.#onEvent(event);
  }
}
