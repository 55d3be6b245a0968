import { type Clock, systemClock } from '../clock/clock.ts';
import type { Admission, FailureKind } from '../exchange/attempt.ts';
import { listener } from '../util/listener.ts';

export type BreakerState = 'closed' | 'open' | 'half-open';

/** When failures open a breaker. */
export interface BreakerRules {
  /** Failures that open the breaker, 1 or more. */
  readonly threshold: number;
  /**
   * Part of the calls in the window that must have failed before failures other than `absent` open it, 0 to 1.
   * 0: their number alone decides. Default 0.5.
   */
  readonly ratio?: number;
  /** How long a failure counts, in milliseconds, 1 or more. `absent` ones count until there is a response. */
  readonly windowMs: number;
}

export interface BreakerOptions extends BreakerRules {
  /** How long the breaker stays open before it lets one trial through, in milliseconds, 1 or more. */
  readonly cooldownMs: number;
  /** The `ticks` of all threads that share a breaker must be of one kind. */
  readonly clock?: Clock;
  /** Asked before a closed breaker opens. It must not ask this breaker. Default: it may. */
  readonly mayOpen?: (failure: FailureKind) => boolean;
  /** Called in the thread that has changed the state, or seen the failure. */
  readonly onEvent?: (event: BreakerEvent) => void;
  /** Called there whenever `admission` has changed, before the events that go with it. It must not ask the breaker. */
  readonly onAdmission?: (admission: Admission) => void;
}

/** Why a breaker stays closed although it has its threshold of failures. */
export type Held =
  /** They are too small a part of the calls in the window. */
  | { readonly by: 'ratio'; readonly failures: number; readonly calls: number }
  /** `mayOpen` said no. */
  | { readonly by: 'mayOpen' };

export interface BreakerFailure {
  readonly kind: 'failure';
  readonly failure: FailureKind;
  /** Failures that count towards the threshold now: at most the threshold. */
  readonly count: number;
  readonly held?: Held | undefined;
}

export interface BreakerTransition {
  readonly kind: 'transition';
  readonly from: BreakerState;
  readonly to: BreakerState;
  /** What opened it; undefined when it closes. */
  readonly failure: FailureKind | undefined;
  /** Whether it follows from a hint and not from what was seen here. */
  readonly hinted: boolean;
}

/** What a breaker tells its listeners, after its state is settled. */
export type BreakerEvent = BreakerFailure | BreakerTransition;

/** Permission to call a replica once. A report that belongs to an earlier state of the breaker is dropped. */
export interface Permit {
  /** A good response began. The same call may still fail, when the response breaks off. */
  succeed(): void;
  /** @param responded whether the head of a response came. Default false. */
  fail(failure: FailureKind, responded?: boolean): void;
  /**
   * The call ended without saying anything about the replica.
   *
   * @param responded whether the head of a response came. Default false.
   */
  abandon(responded?: boolean): void;
}

/**
 * Closed, open, half-open for one replica. Knows no HTTP.
 *
 * It opens for `absent` after `threshold` such failures without a response in between. It opens for `bad` when there
 * are `threshold` failures within `windowMs`, they are at least `ratio` of the calls there, and they are not all of
 * one caller while another caller (of another name, or at another address) got a good response. Meanwhile a caller's
 * failures beyond `threshold - 1` are not counted, so no caller alone decides what the others get.
 *
 * After `cooldownMs` it is half-open and lets one call at a time through as a trial. A good trial closes it. An
 * `absent` one opens it for another cooldown. A `bad` one opens it for its own caller: any other caller may make a second
 * trial at once, and if that is bad too, it is open for everybody. After an abandoned trial the next call is the trial;
 * if another caller was turned away meanwhile, that is not a call of the same caller.
 */
export interface Breaker {
  readonly state: BreakerState;
  /** What opened it; undefined while it is closed. */
  readonly failure: FailureKind | undefined;
  /** What `tryAcquire` would hand out permits for now. */
  readonly admission: Admission;
  /** Whether `tryAcquire` would hand out a permit now, to some caller at least. */
  readonly admits: boolean;
  /** Milliseconds until a call may be let through; 0 means now. */
  readonly retryAfterMs: number;
  /** Whether `tryAcquire` would hand out a permit to this caller now. */
  admitsCaller(caller: string): boolean;
  /**
   * Permission for one call on behalf of `caller`; undefined while it is open, or while its trial is under way.
   *
   * @param address where the caller is. When nothing else is known of the caller, it is `caller` itself: then the caller
   * cannot be told from others at its address, so what they get says nothing about it. Default: `caller`.
   */
  tryAcquire(caller: string, address?: string): Permit | undefined;
  /** Whether it is closed, and another caller got a good response within the window; told apart as in `tryAcquire`. */
  hasServedAnother(caller: string, address: string): boolean;
  /** A caller was refused before it asked for a permit. `tryAcquire` notes that by itself. */
  turnedAway(caller: string): void;
  /**
   * Another gateway's breaker for this replica has opened, so a closed one opens too. A hint of `bad` is dropped when
   * somebody got a good response here within the window, or when `mayOpen` says no.
   */
  hintFailing(failure: FailureKind): void;
  /** Another gateway's trial went well: an open breaker makes its own now. */
  hintRecovered(): void;
  /** Calls `onAdmission` with the admission as it is now, for a listener that may have missed it. */
  tellAdmission(): void;
  /** Ends its timer and drops late reports, because the replica has left. */
  dispose(): void;
}

const DEFAULT_RATIO = 0.5;

/** The options with their defaults. Throws `RangeError` for an option that is out of range. */
export function completeOptions(options: Readonly<BreakerOptions>): Required<BreakerOptions> {
  const { threshold, ratio = DEFAULT_RATIO, windowMs, cooldownMs } = options;
  for (const [name, value] of Object.entries({ threshold, windowMs, cooldownMs })) {
    if (!(value >= 1)) throw new RangeError(`CircuitBreaker: ${name} must be at least 1, got ${value}`);
  }
  if (!(ratio >= 0 && ratio <= 1)) {
    throw new RangeError(`CircuitBreaker: ratio must be from 0 to 1, got ${ratio}`);
  }
  return {
    threshold,
    ratio,
    windowMs,
    cooldownMs,
    clock: options.clock ?? systemClock,
    mayOpen: options.mayOpen ?? (() => true),
    onEvent: listener(options.onEvent),
    onAdmission: listener(options.onAdmission),
  };
}
