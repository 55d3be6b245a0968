import type { Clock } from '../../lib/clock/clock.ts';

/** A dependency that is away fails for every request: one log line in this time is enough. */
const EVERY_MS = 10_000;

/** `log`, at most once in ten seconds; calls in between do nothing. */
export function throttled<T>(clock: Clock, log: (what: T) => void): (what: T) => void {
  let nextAtMs = Number.NEGATIVE_INFINITY;
  return (what) => {
    if (clock.ticks() < nextAtMs) return;
    nextAtMs = clock.ticks() + EVERY_MS;
    log(what);
  };
}
