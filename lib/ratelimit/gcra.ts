import type { Rate, Standing, Verdict } from './rate.ts';

/**
 * What a bucket holds. The generic cell rate algorithm (ITU-T I.371) as a leaking bucket, in whole numbers: each request adds
 * `windowMs` to the level, each millisecond takes `requests` off it, and the level never exceeds `burst` times `windowMs`. So in
 * any time `t` at most `burst` and `requests / windowMs * t` requests are admitted. `redisScript.ts` counts in the same way.
 */
export interface Level {
  readonly level: number;
  /** Of the rate that it was last counted by: one request is that much. */
  readonly windowMs: number;
  /** When it was so high, in whole milliseconds. */
  readonly atMs: number;
}

/**
 * How high the bucket is now, as the rate measures it. Under another rate than before the number of requests in it stays what it
 * was. A clock that was turned back takes nothing off.
 */
export function levelNow(before: Level | undefined, { requests, windowMs }: Rate, nowMs: number): number {
  if (before === undefined) return 0;
  const level =
    before.windowMs === windowMs ? before.level : Math.ceil((before.level * windowMs) / before.windowMs);
  return Math.max(0, level - Math.max(0, nowMs - before.atMs) * requests);
}

/** Until the bucket has room for one request more, in whole milliseconds; 0: it has. */
export function waitMs(level: number, { requests, windowMs, burst }: Rate): number {
  return Math.max(0, Math.ceil((level + windowMs - burst * windowMs) / requests));
}

export function standingAt(level: number, { requests, windowMs, burst }: Rate): Standing {
  return {
    remaining: Math.max(0, burst - Math.ceil(level / windowMs)),
    resetMs: Math.ceil(level / requests),
  };
}

/** The verdict on a request, given how long each of its buckets keeps it waiting, and what is left in each. */
export function verdictOf(waits: readonly number[], standings: readonly (Standing | undefined)[]): Verdict {
  const retryAfterMs = Math.max(0, ...waits);
  return { refusedBy: retryAfterMs === 0 ? -1 : waits.indexOf(retryAfterMs), retryAfterMs, standings };
}
