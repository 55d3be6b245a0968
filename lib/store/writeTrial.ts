import type { Clock } from '../clock/clock.ts';
import { asError } from '../util/asError.ts';

/** How long the result of a write is used again: frequent readiness probes must not keep the store busy. */
const STANDS_FOR_MS = 1_000;

/**
 * Finds out whether a store accepts writes, by writing. A store that is full, read-only or deleted still serves reads, so
 * otherwise nobody would notice before a logout fails.
 */
export class WriteTrial {
  readonly #write: () => Promise<unknown>;
  readonly #clock: Clock;
  #stands: Promise<string | undefined> | undefined;
  #standsUntilTicks = 0;

  constructor(write: () => Promise<unknown>, clock: Clock) {
    this.#write = write;
    this.#clock = clock;
  }

  /** Why writes fail, in words; undefined when they do not. Never rejects. */
  trouble(): Promise<string | undefined> {
    if (this.#stands && this.#clock.ticks() < this.#standsUntilTicks) return this.#stands;
    this.#standsUntilTicks = this.#clock.ticks() + STANDS_FOR_MS;
    const trial = this.#write().then(
      () => undefined,
      (error: unknown) => {
        // A failure is not remembered: the store may have recovered by the next call.
        if (this.#stands === trial) this.#stands = undefined;
        return asError(error).message;
      },
    );
    this.#stands = trial;
    return trial;
  }
}
