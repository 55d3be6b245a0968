import { LRUCache } from 'lru-cache';
import type { Clock } from '../../clock/clock.ts';
import { type Held, heldBytes, ownHeld } from '../bytes.ts';
import type { Remembered, Usage } from '../store.ts';

/** One entry may take up to this part of the cache, so that a few large bodies do not empty it. */
const LARGEST_ENTRY = 1 / 16;
/** A `ttl` of 0 means this to lru-cache. */
const NEVER_EXPIRES = 0;

export interface LocalCacheOptions {
  /** Bound on keys, values and overhead together, in bytes. */
  readonly maxBytes: number;
  /** The part of the cache that one entry may take. Default 1/16. */
  readonly largestEntry?: number;
  /**
   * Longest time a value is kept without asking again, in milliseconds. That a key is absent is remembered without
   * limit.
   */
  readonly maxAgeMs: number;
  readonly clock: Clock;
}

/**
 * Remembers values of another store until `forget` says that they may have changed.
 *
 * It does not notice changes by itself: its owner must call `forget` for each change elsewhere, and `forgetAll` when it may
 * have missed one.
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

  /** Calls `fetch` and remembers the value. Callers that want the same key at the same time share one call. */
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

  /** The key has changed: drops the remembered value, and one that is being fetched will not be remembered. */
  forget(key: string): void {
    this.#remembered.delete(key);
    this.#loading.delete(key);
  }

  forgetAll(): void {
    this.#remembered.clear();
    this.#loading.clear();
  }

  /** Whether the fetched value may be remembered: not when the key was forgotten meanwhile. */
  #finish(key: string, load: Promise<V>): boolean {
    return this.#loading.get(key) === load && this.#loading.delete(key);
  }
}
