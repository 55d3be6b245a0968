import type { Deadlines } from '../timeout/deadlines.ts';

/** No answer came in time. */
export class DeadlineError extends Error {
  override readonly name = 'DeadlineError';

  constructor(timeoutMs: number) {
    super(`no answer within ${timeoutMs} ms`);
  }
}

/** The outcome of `work`, or `DeadlineError` when it takes longer than `deadlines` give it. */
export function withDeadline<T>(work: Promise<T>, deadlines: Deadlines): Promise<T> {
  return new Promise((resolve, reject) => {
    // A timer that fires after a busy spell runs before the sockets are read: let an answer that is here win.
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
