import type { Admission, FailureKind } from '../exchange/attempt.ts';

/** Every call is let through. */
export interface Closed {
  readonly kind: 'closed';
}

/** No call is let through before the cooldown is over, but for those of other callers than `failedCaller`, if there is one. */
export interface Open<Caller> {
  readonly kind: 'open';
  readonly failure: FailureKind;
  readonly untilMs: number;
  /** The only caller whose trial was bad: any other one may make a second trial. */
  readonly failedCaller: Caller | undefined;
}

/** One call is let through as a trial. */
export interface HalfOpen<Caller> {
  readonly kind: 'half-open';
  readonly failure: FailureKind;
  /** The caller that makes the trial; undefined: the next caller makes it. */
  readonly trialOf: Caller | undefined;
  /** Whether the trial of another caller has been bad just before. */
  readonly isSecond: boolean;
  /** Whether another caller was turned away because of this trial. */
  readonly othersWait: boolean;
}

/** The state that follows; when an open one ends, the breaker says. */
export type Next<Caller> = Closed | Omit<Open<Caller>, 'untilMs'> | HalfOpen<Caller>;

export const CLOSED: Closed = { kind: 'closed' };

/** A trial decides soon, but nobody knows when: ask again in a second. */
const RETRY_TRIAL_MS = 1000;

export function openForAll(failure: FailureKind): Next<never> {
  return { kind: 'open', failure, failedCaller: undefined };
}

/** Half-open, and the next caller makes the trial. */
export function halfOpen(failure: FailureKind): HalfOpen<never> {
  return { kind: 'half-open', failure, trialOf: undefined, isSecond: false, othersWait: false };
}

/** Half-open, and this caller makes the trial. The state before must admit the caller. */
export function withTrialOf<Caller>(
  caller: Caller,
  { kind, failure }: Open<Caller> | HalfOpen<Caller>,
): HalfOpen<Caller> {
  return { ...halfOpen(failure), trialOf: caller, isSecond: kind === 'open' };
}

/** The trial ended without a result. If another caller was turned away meanwhile, the same caller makes no second one. */
export function afterAbandonedTrial<Caller>(
  { failure, othersWait }: HalfOpen<Caller>,
  caller: Caller,
): Next<Caller> {
  return othersWait ? { kind: 'open', failure, failedCaller: caller } : halfOpen(failure);
}

/** Whether some caller would get a permit. */
export function admitsAnybody(state: Next<unknown>): boolean {
  if (state.kind === 'open') return state.failedCaller !== undefined;
  return state.kind === 'closed' || state.trialOf === undefined;
}

/** Whether this caller would get a permit. */
export function admitsCaller<Caller>(state: Next<Caller>, caller: Caller): boolean {
  return admitsAnybody(state) && !(state.kind === 'open' && state.failedCaller === caller);
}

export function admissionOf(state: Next<unknown>): Admission {
  if (state.kind === 'closed') return 'all';
  return admitsAnybody(state) ? 'trial' : 'none';
}

/** What opened the breaker; undefined while it is closed. */
export function failureOf(state: Next<unknown>): FailureKind | undefined {
  return state.kind === 'closed' ? undefined : state.failure;
}

/** Milliseconds until a call may be let through; 0 means now. */
export function retryAfterMs(state: Closed | Open<unknown> | HalfOpen<unknown>, nowMs: number): number {
  if (state.kind === 'open') return Math.max(1, state.untilMs - nowMs);
  return admitsAnybody(state) ? 0 : RETRY_TRIAL_MS;
}
