import { asError } from '../util/asError.ts';
import { listener } from '../util/listener.ts';
import type { Asked, RateCounter, Verdict } from './rate.ts';

export interface FallbackCounterOptions {
  readonly counter: RateCounter;
  /** Counts each request for which `counter` rejects. */
  readonly fallback: RateCounter;
  /** Called with the reason for each of them. */
  readonly onError?: (error: Error) => void;
}

/**
 * Availability comes before exactness: while the counter that all gateways share does not respond, each has one of its own, so
 * that together they admit at most what the limit says times the number of gateways.
 */
export class FallbackCounter implements RateCounter {
  readonly #counter: RateCounter;
  readonly #fallback: RateCounter;
  readonly #onError: (error: Error) => void;

  constructor({ counter, fallback, onError }: Readonly<FallbackCounterOptions>) {
    this.#counter = counter;
    this.#fallback = fallback;
    this.#onError = listener(onError);
  }

  async take(asked: readonly Asked[]): Promise<Verdict> {
    try {
      return await this.#counter.take(asked);
    } catch (error) {
      this.#onError(asError(error));
      return this.#fallback.take(asked);
    }
  }
}
