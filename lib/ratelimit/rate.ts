/** How many requests are admitted: in the long run, and at once. */
export interface Rate {
  /** Requests in each window in the long run, 1 or more. */
  readonly requests: number;
  /** Whole milliseconds, 1 or more. */
  readonly windowMs: number;
  /** Requests that are admitted at once after a rest, 1 or more. */
  readonly burst: number;
}

/** The largest product of a rate's numbers that is exact in Lua and JavaScript, with room for the sums made of it. */
const MAX_CAPACITY = Number.MAX_SAFE_INTEGER / 8;

/** Throws `RangeError` unless all numbers are whole, above 0, and small enough to count with exactly. */
export function assertRate({ requests, windowMs, burst }: Rate): void {
  for (const [name, value] of Object.entries({ requests, windowMs, burst })) {
    if (Number.isSafeInteger(value) && value > 0) continue;
    throw new RangeError(`ratelimit: ${name} must be a whole number above 0, got ${value}`);
  }
  if (burst * windowMs <= MAX_CAPACITY) return;
  throw new RangeError(
    `ratelimit: burst times windowMs must be at most ${MAX_CAPACITY}, got ${burst} times ${windowMs}`,
  );
}

/** A bucket that a request is counted in, and the rate that it is judged by there. It can be sent to another thread. */
export interface Asked {
  /** Names the bucket, whatever the rate. Of those that may be judged together the part in braces is the same. */
  readonly key: string;
  readonly rate: Rate;
}

/** What is left in one bucket. */
export interface Standing {
  /** Requests that would be admitted at once. */
  readonly remaining: number;
  /** Until the whole burst is there again, in milliseconds. */
  readonly resetMs: number;
}

/** The decision on one request. */
export interface Verdict {
  /** Which of the buckets refuses it, and for the longest time; -1: it is admitted, and counted in each. */
  readonly refusedBy: number;
  /** Until that bucket admits the next one, in milliseconds; 0 for a request that is admitted. */
  readonly retryAfterMs: number;
  /** In the order of the buckets; undefined where it is not known. */
  readonly standings: readonly (Standing | undefined)[];
}

/** Counts requests, in this thread or elsewhere. */
export interface RateCounter {
  /** Counts one request in each of these buckets, or in none of them if one refuses it. At least one is asked. */
  take(asked: readonly Asked[]): Verdict | Promise<Verdict>;
}
