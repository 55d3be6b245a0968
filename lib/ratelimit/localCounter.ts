import { LRUCache } from 'lru-cache';
import { type Clock, systemClock } from '../clock/clock.ts';
import { type Level, levelNow, standingAt, verdictOf, waitMs } from './gcra.ts';
import type { Asked, RateCounter, Verdict } from './rate.ts';

export const DEFAULT_MAX_BYTES = 32 * 1024 * 1024;
/** The memory of a bucket and its entry in the LRU order: 320 bytes measured, rounded up. */
const OVERHEAD_BYTES = 400;

export interface LocalCounterOptions {
  /** Memory for the buckets, in bytes. Default 32 MiB. The bucket that was not asked for the longest makes room, and is empty when it comes back. */
  readonly maxBytes?: number | undefined;
  readonly clock?: Clock | undefined;
}

/** Counts in the memory of this thread, without waiting. */
export class LocalCounter implements RateCounter {
  readonly #levels: LRUCache<string, Level>;
  readonly #clock: Clock;

  constructor({ maxBytes = DEFAULT_MAX_BYTES, clock = systemClock }: Readonly<LocalCounterOptions> = {}) {
    this.#clock = clock;
    this.#levels = new LRUCache({ maxSize: maxBytes, sizeCalculation: (_level, key) => bytesOf(key) });
  }

  take(asked: readonly Asked[]): Verdict {
    const nowMs = Math.floor(this.#clock.ticks());
    const levels = asked.map(({ key, rate }) => levelNow(this.#levels.get(key), rate, nowMs));
    const waits = asked.map(({ rate }, index) => waitMs(levels[index] as number, rate));
    const isAdmitted = waits.every((wait) => wait === 0);
    const standings = asked.map(({ key, rate }, index) => {
      const level = (levels[index] as number) + (isAdmitted ? rate.windowMs : 0);
      if (isAdmitted) this.#levels.set(key, { level, windowMs: rate.windowMs, atMs: nowMs });
      return standingAt(level, rate);
    });
    return verdictOf(waits, standings);
  }
}

/** What an entry of a map takes whose key this is. */
export function bytesOf(key: string): number {
  return OVERHEAD_BYTES + 2 * key.length;
}
