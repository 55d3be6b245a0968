import type { Permit } from './permits.ts';

export interface WaiterOptions {
  readonly caller: string;
  readonly asker: string;
  /** Ends the wait when it is aborted. */
  readonly signal: AbortSignal;
  /** Called when the signal ends the wait. */
  readonly onLeave: (waiter: Waiter) => void;
}

/** Somebody who waits for a permit. */
export class Waiter {
  readonly caller: string;
  readonly asker: string;
  /** Resolves with the permit that is granted; rejects with the reason of the signal. */
  readonly permit: Promise<Permit>;
  readonly #signal: AbortSignal;
  readonly #onAbort: () => void;
  readonly #resolve: (permit: Permit) => void;

  constructor({ caller, asker, signal, onLeave }: WaiterOptions) {
    const { promise, resolve, reject } = Promise.withResolvers<Permit>();
    this.caller = caller;
    this.asker = asker;
    this.permit = promise;
    this.#signal = signal;
    this.#resolve = resolve;
    this.#onAbort = () => {
      onLeave(this);
      reject(signal.reason);
    };
    signal.addEventListener('abort', this.#onAbort, { once: true });
  }

  /** Ends the wait with a permit. */
  grant(permit: Permit): void {
    this.#signal.removeEventListener('abort', this.#onAbort);
    this.#resolve(permit);
  }
}
