/** One failed call. */
export interface RecentFailure<Caller> {
  readonly atMs: number;
  /** The caller; undefined for a failure that no request can bring about. */
  readonly caller: Caller | undefined;
}

export interface FailureRules {
  readonly threshold: number;
  readonly windowMs: number;
  /** Whether somebody else than the caller of the newest failure got a good response within the window. */
  readonly anotherServed: boolean;
}

export interface CountedFailures<Caller> {
  /** The failures that are remembered from now on, the newest last. */
  readonly kept: readonly RecentFailure<Caller>[];
  /** How many of them count towards the threshold. */
  readonly count: number;
  /** Whether the newest counts as a failed call in the ratio. */
  readonly isInRatio: boolean;
}

/**
 * Adds the newest failure. At most `threshold` are kept of one caller, and twice as many in all: more can decide nothing.
 * While others are served, a caller brings about `threshold - 1` at the most, and what it causes beyond counts nowhere.
 */
export function withFailure<Caller>(
  failures: readonly RecentFailure<Caller>[],
  newest: RecentFailure<Caller>,
  { threshold, windowMs, anotherServed }: FailureRules,
): CountedFailures<Caller> {
  const before = failures.filter(({ atMs }) => atMs > newest.atMs - windowMs);
  const ofCaller = before.filter(({ caller }) => caller === newest.caller);
  const isFull = ofCaller.length === threshold;
  const others = isFull ? before.filter((failure) => failure !== ofCaller[0]) : before;
  const kept = [...others.slice(-2 * threshold + 1), newest];
  const isOfOne = kept.every(({ caller }) => caller === newest.caller);
  return {
    kept,
    count: Math.min(kept.length, isOfOne && anotherServed ? threshold - 1 : threshold),
    isInRatio: !anotherServed || ofCaller.length < Math.max(1, threshold - 1),
  };
}
