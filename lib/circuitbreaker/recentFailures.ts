/** One failed call. */
export interface RecentFailure<Caller> {
  readonly atMs: number;
  /** On whose behalf; undefined: no request can bring about such a failure. */
  readonly caller: Caller | undefined;
}

/** Those within a window that began at `sinceMs`. */
export function failuresSince<Caller>(
  failures: readonly RecentFailure<Caller>[],
  sinceMs: number,
): readonly RecentFailure<Caller>[] {
  return failures.filter(({ atMs }) => atMs > sinceMs);
}

/** The newest failures: at most `threshold` of one caller, and twice as many in all. More can decide nothing. */
export function withFailure<Caller>(
  failures: readonly RecentFailure<Caller>[],
  newest: RecentFailure<Caller>,
  threshold: number,
): readonly RecentFailure<Caller>[] {
  const itsOldest = failures.findIndex(({ caller }) => caller === newest.caller);
  const isFull = failuresOf(failures, newest.caller) === threshold;
  const kept = isFull ? failures.toSpliced(itsOldest, 1) : failures;
  return [...kept.slice(-2 * threshold + 1), newest];
}

/** Whether a further failure of `caller` must count nowhere: others are served, and it has caused its part before. */
export function isBeyondItsPart<Caller>(
  failures: readonly RecentFailure<Caller>[],
  caller: Caller | undefined,
  { threshold, anotherServed }: { readonly threshold: number; readonly anotherServed: boolean },
): boolean {
  return anotherServed && failuresOf(failures, caller) >= Math.max(1, threshold - 1);
}

/** How many count towards the threshold. `anotherServed`: somebody else than the caller of the newest. */
export function countTowards<Caller>(
  threshold: number,
  failures: readonly RecentFailure<Caller>[],
  anotherServed: boolean,
): number {
  const isOfOne = failures.every(({ caller }) => caller === failures[0]?.caller);
  return Math.min(failures.length, isOfOne && anotherServed ? threshold - 1 : threshold);
}

function failuresOf<Caller>(failures: readonly RecentFailure<Caller>[], caller: Caller | undefined): number {
  let count = 0;
  for (const failure of failures) if (failure.caller === caller) count += 1;
  return count;
}
