import { LRUCache } from 'lru-cache';
import { type Clock, systemClock } from '../clock/clock.ts';
import { bytesOf, DEFAULT_MAX_BYTES, type LocalCounterOptions } from './localCounter.ts';
import type { Asked, Rate, RateCounter, Standing, Verdict } from './rate.ts';

interface Refusal {
  readonly rate: Rate;
  readonly untilTicks: number;
  readonly resetTicks: number;
}

/**
 * Asks a counter elsewhere, unless it has just refused: a bucket only ever fills up by the requests of others, so until then it
 * goes on refusing. Whoever sends too many requests costs the counter one question each time that one of them would be admitted.
 */
export class RefusingCounter implements RateCounter {
  readonly #counter: RateCounter;
  readonly #refusals: LRUCache<string, Refusal>;
  readonly #clock: Clock;

  constructor(
    counter: RateCounter,
    { maxBytes = DEFAULT_MAX_BYTES, clock = systemClock }: Readonly<LocalCounterOptions> = {},
  ) {
    this.#counter = counter;
    this.#clock = clock;
    this.#refusals = new LRUCache({ maxSize: maxBytes, sizeCalculation: (_refusal, key) => bytesOf(key) });
  }

  take(asked: readonly Asked[]): Verdict | Promise<Verdict> {
    const nowTicks = this.#clock.ticks();
    return this.#known(asked, nowTicks) ?? this.#ask(asked, nowTicks);
  }

  /** A refusal that still holds. One by another rate says nothing: a claim may have chosen a higher one. */
  #known(asked: readonly Asked[], nowTicks: number): Verdict | undefined {
    if (this.#refusals.size === 0) return undefined;
    for (const [index, { key, rate }] of asked.entries()) {
      const refusal = this.#refusals.get(key);
      if (!refusal || refusal.rate !== rate || refusal.untilTicks <= nowTicks) continue;
      const standings: (Standing | undefined)[] = asked.map(() => undefined);
      standings[index] = { remaining: 0, resetMs: Math.ceil(refusal.resetTicks - nowTicks) };
      return { refusedBy: index, retryAfterMs: Math.ceil(refusal.untilTicks - nowTicks), standings };
    }
    return undefined;
  }

  /** @param sentTicks the counter judges later than this, so that it is asked again rather too early than too late */
  async #ask(asked: readonly Asked[], sentTicks: number): Promise<Verdict> {
    const verdict = await this.#counter.take(asked);
    const { refusedBy, retryAfterMs, standings } = verdict;
    const by = asked[refusedBy];
    if (by !== undefined) {
      this.#refusals.set(by.key, {
        rate: by.rate,
        untilTicks: sentTicks + retryAfterMs,
        resetTicks: sentTicks + (standings[refusedBy]?.resetMs ?? retryAfterMs),
      });
    }
    return verdict;
  }
}
