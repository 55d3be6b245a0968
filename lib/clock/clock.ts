/** Cancels what `after` has scheduled. Safe to call twice and after it has run. */
export type Cancel = () => void;

/** Where everything here gets its time from, so that tests move it by hand instead of waiting. */
export interface Clock {
  /** Milliseconds since the Unix epoch. */
  now(): number;
  /** Milliseconds since some fixed moment, with fractions: for durations, because it never jumps. */
  ticks(): number;
  /** Runs `callback` once, `delayMs` from now. Never keeps the process alive by itself. */
  after(delayMs: number, callback: () => void): Cancel;
}

export const systemClock: Clock = {
  now: Date.now,
  ticks: () => performance.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs).unref();
    return () => clearTimeout(timer);
  },
};
