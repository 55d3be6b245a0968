import type { FailureKind } from '../exchange/attempt.ts';
import type { Verdict } from './callRecord.ts';
import type { BreakerFailure, BreakerTransition, Held } from './contract.ts';
import { CLOSED, failureOf, type HalfOpen, type Next, openForAll } from './states.ts';

/** What a failed call leads to: what is told of it, and the state that follows if the state changes. */
export interface FailureOutcome<Caller> {
  readonly event: BreakerFailure;
  readonly next: Next<Caller> | undefined;
}

const HELD_BY_OPTION: Held = { by: 'mayOpen' };

/** After a failed call of a closed breaker. */
export function afterFailure(
  failure: FailureKind,
  { count, opensFor, held }: Verdict,
  mayOpen: (failure: FailureKind) => boolean,
): FailureOutcome<never> {
  if (opensFor === undefined) return { event: { kind: 'failure', failure, count, held }, next: undefined };
  const opens = mayOpen(opensFor);
  return {
    event: { kind: 'failure', failure, count, held: opens ? held : HELD_BY_OPTION },
    next: opens ? openForAll(opensFor) : undefined,
  };
}

/**
 * After a failed trial. A bad one opens the breaker for its own caller, and a second one for everybody; so does one that
 * finds the replica absent. To open for another reason than before is a new decision, and may be held.
 */
export function afterFailedTrial<Caller>(
  trial: HalfOpen<Caller>,
  caller: Caller,
  failure: FailureKind,
  { threshold, mayOpen }: { readonly threshold: number; mayOpen(failure: FailureKind): boolean },
): FailureOutcome<Caller> {
  const isHeld = failure !== trial.failure && !mayOpen(failure);
  const failedCaller = failure === 'absent' || trial.isSecond ? undefined : caller;
  return {
    event: { kind: 'failure', failure, count: threshold, held: isHeld ? HELD_BY_OPTION : undefined },
    next: isHeld ? CLOSED : { kind: 'open', failure, failedCaller },
  };
}

/** What is told of a change of the state; undefined where a trial begins or ends within one kind of state. */
export function transitionOf(
  before: Next<unknown>,
  next: Next<unknown>,
  hinted: boolean,
): BreakerTransition | undefined {
  if (before.kind === next.kind) return undefined;
  return { kind: 'transition', from: before.kind, to: next.kind, failure: failureOf(next), hinted };
}
