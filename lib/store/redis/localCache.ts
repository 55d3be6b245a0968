import { LRUCache } from 'lru-cache';
import type { Clock } from '../../clock/clock.ts';
import { type Held, heldBytes, ownHeld } from '../bytes.ts';
import type { Remembered, Usage } from '../store.ts';

/** One entry may take this part of the whole, so that a few large bodies do not empty the cache. */
const LARGEST_ENTRY = 1 / 16;
/** lru-cache's word for it. */
const NEVER_EXPIRES = 0;

export interface LocalCacheOptions {
  /** Bound on keys, values and overhead together, in bytes. */
  readonly maxBytes: number;
  /** The part of the whole that one entry may take. Default 1/16. */
  readonly largestEntry?: number;
  /** Longest time a value is kept without asking again, in milliseconds. What is absent cannot expire: it is kept. */
  readonly maxAgeMs: number;
  readonly clock: Clock;
}

/**
 * Answers of another store, remembered until `forget` says that they may have changed.
 *
 * It does not learn of changes by itself: whoever owns it must call `forget` for every change elsewhere, and
 * must drop the whole cache when it may have missed one.
 */
export class LocalCache<V extends Held> {
  readonly #remembered: LRUCache<string, Remembered<V>>;
  readonly #maxAgeMs: number;
  readonly #loading = new Map<string, Promise<V>>();

  constructor({ maxBytes, largestEntry = LARGEST_ENTRY, maxAgeMs, clock }: Readonly<LocalCacheOptions>) {
    this.#maxAgeMs = Number.isFinite(maxAgeMs) ? maxAgeMs : NEVER_EXPIRES;
    this.#remembered = new LRUCache({
      maxSize: maxBytes,
      maxEntrySize: Math.ceil(maxBytes * largestEntry),
      sizeCalculation: ({ value }, key) => heldBytes(key, value),
      ttlResolution: 0,
      perf: { now: () => clock.ticks() },
    });
  }

  get usage(): Usage {
    return { tier: 'near', entries: this.#remembered.size, bytes: this.#remembered.calculatedSize };
  }

  get(key: string): Remembered<V> | undefined {
    return this.#remembered.get(key);
  }

  /** Asks `fetch`, once however many callers want the same key at the same time, and remembers its answer. */
  load(key: string, fetch: () => Promise<V>): Promise<V> {
    const underWay = this.#loading.get(key);
    if (underWay) return underWay;
    const load = fetch().then(
      (fetched) => {
        if (!this.#finish(key, load)) return fetched;
        const value = ownHeld(fetched);
        const ttl = value === undefined ? NEVER_EXPIRES : this.#maxAgeMs;
        this.#remembered.set(key, { value }, { ttl });
        return value;
      },
      (error) => {
        this.#finish(key, load);
        throw error;
      },
    );
    this.#loading.set(key, load);
    return load;
  }

  /** The key has changed: what is remembered is dropped, and so is an answer that is still on its way. */
  forget(key: string): void {
    this.#remembered.delete(key);
    this.#loading.delete(key);
  }

  forgetAll(): void {
    this.#remembered.clear();
    this.#loading.clear();
  }

  /** Whether the answer may be remembered: not when the key was forgotten while it was on its way. */
  #finish(key: string, load: Promise<V>): boolean {
    return this.#loading.get(key) === load && this.#loading.delete(key);
  }
}
