import type { Deadlines } from '../timeout/deadlines.ts';

/** The store did not reply in time. */
export class DeadlineError extends Error {
  override readonly name = 'DeadlineError';

  constructor(timeoutMs: number) {
    super(`no reply within ${timeoutMs} ms`);
  }
}

/** The outcome of `work`; rejects with `DeadlineError` when it takes longer than `deadlines` allow. */
export function withDeadline<T>(work: Promise<T>, deadlines: Deadlines): Promise<T> {
  return new Promise((resolve, reject) => {
    // After the event loop was busy, timers run before sockets are read. A reply that has arrived by then still counts.
    const expire = () => setImmediate(() => reject(new DeadlineError(deadlines.delayMs)));
    const place = deadlines.enterNow(expire);
    work.then(
      (value) => {
        place.leave();
        resolve(value);
      },
      (error) => {
        place.leave();
        reject(error);
      },
    );
  });
}
