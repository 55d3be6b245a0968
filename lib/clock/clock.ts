/** Cancels a callback of `after`. Safe to call twice, and after the callback has run. */
export type Cancel = () => void;

/** The source of time for all modules, injected so that tests can move it by hand instead of waiting. */
export interface Clock {
  /** Milliseconds since the Unix epoch. */
  now(): number;
  /** Milliseconds since an arbitrary moment, with fractions. It never jumps, so durations are measured with it. */
  ticks(): number;
  /** Calls back once, `delayMs` from now. It does not keep the process alive. */
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
