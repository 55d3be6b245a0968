import { LRUCache } from 'lru-cache';
import type { Clock } from '../clock/clock.ts';
import { Admission } from './admission.ts';
import { entryBytes, ownBytes } from './bytes.ts';
import type { Channels } from './channels.ts';
import {
  assertTtl,
  isLive,
  type Live,
  type Remembered,
  type ResponseStore,
  type Unsubscribe,
  type Usage,
} from './store.ts';

export interface MemoryStoreOptions {
  /** Bound on keys, values and overhead together, in bytes; the least recently used go first. */
  readonly maxBytes: number;
  readonly channels: Channels;
  readonly clock: Clock;
}

interface Entry extends Remembered<Buffer | Live> {
  readonly expiresAtTicks: number;
  /** Whether anybody has asked for it since it is here. */
  used: boolean;
}

const ABSENT: Remembered<undefined> = { value: undefined };

/** A store in this process's memory: bounded, gone with the process. A value above `maxBytes` is not kept. */
export class MemoryStore implements ResponseStore {
  readonly isOwn = true;
  readonly #entries: LRUCache<string, Entry>;
  readonly #channels: Channels;
  readonly #clock: Clock;
  readonly #admission: Admission;
  /** Whether what came last had others make room, and nothing has left since. */
  #isFull = false;
  #isClosed = false;

  constructor({ maxBytes, channels, clock }: Readonly<MemoryStoreOptions>) {
    this.#channels = channels;
    this.#clock = clock;
    this.#admission = new Admission(maxBytes);
    this.#entries = new LRUCache({
      maxSize: maxBytes,
      sizeCalculation: ({ value }, key) => entryBytes(key, value.byteLength),
      dispose: ({ value, used }, _key, reason) => {
        if (reason !== 'set') this.#isFull = reason === 'evict';
        if (reason === 'evict' && isLive(value)) this.#admission.left(used);
      },
    });
  }

  /** Nothing for an object that only inherits from a store, such as one that is slower: it has ways of its own. */
  peek(key: string): Remembered<Buffer | Live | undefined> | undefined {
    if (!(#entries in this) || this.#isClosed) return undefined;
    return this.#fresh(key) ?? ABSENT;
  }

  admits(name: string): boolean {
    return !(#entries in this) || !this.#isFull || this.#admission.admits(name);
  }

  async get(key: string): Promise<Buffer | undefined> {
    return this.#bytes(key);
  }

  async set(key: string, value: Buffer | string | Live, ttlMs: number): Promise<void> {
    assertTtl(ttlMs);
    const kept = isLive(value) ? value : ownBytes(value);
    this.#put(key, kept, ttlMs);
  }

  async swap(key: string, expected: Buffer | undefined, value: string, ttlMs: number): Promise<Buffer> {
    assertTtl(ttlMs);
    const present = this.#bytes(key);
    if (present && !(expected && present.equals(expected))) return present;
    const added = ownBytes(value);
    this.#put(key, added, ttlMs);
    return added;
  }

  async usage(): Promise<readonly Usage[]> {
    return [{ tier: 'store', entries: this.#entries.size, bytes: this.#entries.calculatedSize }];
  }

  async delete(key: string): Promise<void> {
    this.#entries.delete(key);
  }

  async publish(channel: string, message: string): Promise<void> {
    this.#channels.deliver(channel, message);
  }

  async subscribe(channel: string, listener: (message: string) => void): Promise<Unsubscribe> {
    const leave = this.#channels.join(channel, listener);
    return async () => leave();
  }

  /** How long the value is kept; `undefined` when there is none. */
  leftMs(key: string): number | undefined {
    const entry = this.#entries.peek(key);
    return entry && leftMs(entry, this.#clock);
  }

  /** Everything that is kept. */
  *all(): Iterable<{ readonly key: string; readonly value: Buffer; readonly ttlMs: number }> {
    for (const [key, entry] of this.#entries.entries()) {
      const ttlMs = leftMs(entry, this.#clock);
      if (ttlMs > 0) yield { key, value: bytesOf(entry.value), ttlMs };
    }
  }

  /** Lets go of what it holds; nothing is known without asking any more. */
  close(): void {
    this.#isClosed = true;
    this.#entries.clear();
  }

  #put(key: string, value: Buffer | Live, ttlMs: number): void {
    // What takes the place of something that was used is of the same use.
    const used = this.#entries.peek(key)?.used ?? false;
    this.#isFull = false;
    this.#entries.set(key, { value, expiresAtTicks: this.#clock.ticks() + ttlMs, used });
  }

  #bytes(key: string): Buffer | undefined {
    const value = this.#fresh(key)?.value;
    return value && bytesOf(value);
  }

  #fresh(key: string): Entry | undefined {
    const entry = this.#entries.get(key);
    if (!entry) return undefined;
    if (entry.expiresAtTicks > this.#clock.ticks()) {
      entry.used = true;
      return entry;
    }
    this.#entries.delete(key);
    return undefined;
  }
}

/** In whole milliseconds. */
function leftMs({ expiresAtTicks }: Entry, clock: Clock): number {
  return Math.ceil(expiresAtTicks - clock.ticks());
}

function bytesOf(value: Buffer | Live): Buffer {
  return isLive(value) ? value.toBytes() : value;
}
