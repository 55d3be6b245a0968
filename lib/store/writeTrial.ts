import type { Clock } from '../clock/clock.ts';
import { asError } from '../util/asError.ts';

/** A write that went well stands for all of this time: whoever asks for readiness must not keep the store busy. */
const STANDS_FOR_MS = 1_000;

/**
 * Tells whether a store takes writes, by writing. A store that is full, read-only or deleted goes on answering reads,
 * so nothing else finds out before somebody's logout does.
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
        // What failed is tried again by whoever asks next: it may be mended.
        if (this.#stands === trial) this.#stands = undefined;
        return asError(error).message;
      },
    );
    this.#stands = trial;
    return trial;
  }
}
