import type { Admission, FailureKind } from '../exchange/attempt.ts';

export interface Open<Caller> {
  readonly kind: 'open';
  readonly failure: FailureKind;
  readonly untilMs: number;
  /** The one caller whose trial was bad: any other may make a second one. */
  readonly failedCaller: Caller | undefined;
}

export interface HalfOpen<Caller> {
  readonly kind: 'half-open';
  readonly failure: FailureKind;
  /** Who makes the trial; undefined: the place is free. */
  readonly trialOf: Caller | undefined;
  /** Whether the trial of another caller has been bad just before. */
  readonly isSecond: boolean;
  /** Whether another caller was turned away because of this trial. */
  readonly othersWait: boolean;
}

/** What a breaker that is not closed may become. */
export type Next<Caller> = { readonly kind: 'closed' } | Omit<Open<Caller>, 'untilMs'> | HalfOpen<Caller>;

/** Half-open, with the place free for anybody. */
export function halfOpen(failure: FailureKind): HalfOpen<never> {
  return { kind: 'half-open', failure, trialOf: undefined, isSecond: false, othersWait: false };
}

/** Whether some caller would get a permit. */
export function isAdmitting(state: { readonly kind: 'closed' } | Open<unknown> | HalfOpen<unknown>): boolean {
  if (state.kind === 'open') return state.failedCaller !== undefined;
  return state.kind === 'closed' || state.trialOf === undefined;
}

export function admissionOf(state: Parameters<typeof isAdmitting>[0]): Admission {
  if (state.kind === 'closed') return 'all';
  return isAdmitting(state) ? 'trial' : 'none';
}

/** The place is taken. The state must admit the caller. */
export function withTrialOf<Caller>(
  caller: Caller,
  { kind, failure }: Open<Caller> | HalfOpen<Caller>,
): HalfOpen<Caller> {
  return { ...halfOpen(failure), trialOf: caller, isSecond: kind === 'open' };
}

/** One caller's bad trial opens the breaker for that caller, a second one's for everybody; so does an absent replica. */
export function afterFailedTrial<Caller>(
  { isSecond }: HalfOpen<Caller>,
  caller: Caller,
  failure: FailureKind,
): Next<Caller> {
  return { kind: 'open', failure, failedCaller: failure === 'absent' || isSecond ? undefined : caller };
}

/** The place is free again; where others wait for it, it is theirs. */
export function afterAbandonedTrial<Caller>(
  { failure, othersWait }: HalfOpen<Caller>,
  caller: Caller,
): Next<Caller> {
  return othersWait ? { kind: 'open', failure, failedCaller: caller } : halfOpen(failure);
}
