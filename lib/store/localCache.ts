import { LRUCache } from 'lru-cache';
import type { Clock } from '../clock/clock.ts';
import { entryBytes, ownBytes } from './bytes.ts';
import type { Usage } from './store.ts';

/** One entry may take this part of the whole, so that a few large bodies do not empty the cache. */
const LARGEST_ENTRY = 1 / 16;

export interface LocalCacheOptions {
  /** Bound on keys, values and overhead together, in bytes. */
  readonly maxBytes: number;
  /** Longest time an entry is kept without asking again, in milliseconds. */
  readonly maxAgeMs: number;
  readonly clock: Clock;
}

/** A remembered answer; `value` is undefined when the key is known to be absent. */
export interface Remembered {
  readonly value: Buffer | undefined;
}

/**
 * Answers of another store, remembered until `forget` says that they may have changed.
 *
 * It does not learn of changes by itself: whoever owns it must call `forget` for every change elsewhere, and
 * must drop the whole cache when it may have missed one.
 */
export class LocalCache {
  readonly #remembered: LRUCache<string, Remembered>;
  readonly #loading = new Map<string, Promise<Buffer | undefined>>();

  constructor({ maxBytes, maxAgeMs, clock }: Readonly<LocalCacheOptions>) {
    this.#remembered = new LRUCache({
      maxSize: maxBytes,
      maxEntrySize: Math.ceil(maxBytes * LARGEST_ENTRY),
      sizeCalculation: ({ value }, key) => entryBytes(key, value),
      ttl: maxAgeMs,
      ttlResolution: 0,
      perf: { now: () => clock.ticks() },
    });
  }

  get usage(): Usage {
    return { tier: 'near', entries: this.#remembered.size, bytes: this.#remembered.calculatedSize };
  }

  get(key: string): Remembered | undefined {
    return this.#remembered.get(key);
  }

  /** Asks `fetch`, once however many callers want the same key at the same time, and remembers its answer. */
  load(key: string, fetch: () => Promise<Buffer | undefined>): Promise<Buffer | undefined> {
    const underWay = this.#loading.get(key);
    if (underWay) return underWay;
    const load = fetch().then(
      (value) => {
        if (this.#finish(key, load)) this.#remembered.set(key, { value: value && ownBytes(value) });
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
  #finish(key: string, load: Promise<Buffer | undefined>): boolean {
    return this.#loading.get(key) === load && this.#loading.delete(key);
  }
}
