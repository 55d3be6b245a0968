import type { Clock } from '../../lib/clock/clock.ts';

/** What is away fails for every request: one line in this time says so. */
const EVERY_MS = 10_000;

/** `say`, at most once in ten seconds. */
export function sparingly<T>(clock: Clock, say: (what: T) => void): (what: T) => void {
  let nextAtMs = Number.NEGATIVE_INFINITY;
  return (what) => {
    if (clock.ticks() < nextAtMs) return;
    nextAtMs = clock.ticks() + EVERY_MS;
    say(what);
  };
}
