import { LRUCache } from 'lru-cache';
import type { Clock } from '../../clock/clock.ts';
import { entryBytes, ownBytes } from '../bytes.ts';
import type { Channels } from '../channels.ts';
import {
  assertTtl,
  isLive,
  type Live,
  RENEWED,
  type Remembered,
  type ResponseStore,
  type SetOptions,
  type Under,
  type Unsubscribe,
  type Usage,
} from '../store.ts';
import { Accounts, NOBODY } from './accounts.ts';
import { Admission } from './admission.ts';

export interface MemoryStoreOptions {
  /** Bound on keys, values and overhead together, in bytes. The least recently used entries are evicted first. */
  readonly maxBytes: number;
  readonly channels: Channels;
  readonly clock: Clock;
}

interface Entry extends Remembered<Buffer | Live> {
  readonly expiresAtTicks: number;
  readonly owner: string;
  /** The memory it takes. */
  readonly bytes: number;
  /** Whether it was read since it was stored. */
  used: boolean;
}

export interface Kept {
  readonly ttlMs: number;
  /** The owner, or `NOBODY`. */
  readonly owner: string;
}

/** Memory for an owner's account, charged to each entry: it may be the owner's only one. */
const OWNER_BYTES = 150;
/**
 * How many of the least recently used entries are tried for eviction. If none may be evicted, the new value is not
 * stored.
 */
const MOST_LOOKED_AT = 32;

const ABSENT: Remembered<undefined> = { value: undefined };

/**
 * A bounded store in this process's memory. A value larger than `maxBytes` is not stored, nor is a value for which only
 * owners with smaller accounts would have to make room (`Accounts`).
 */
export class MemoryStore implements ResponseStore {
  readonly isShared = false;
  readonly #entries: LRUCache<string, Entry>;
  readonly #channels: Channels;
  readonly #clock: Clock;
  readonly #admission: Admission;
  readonly #accounts: Accounts;
  readonly #maxBytes: number;
  /** Whether the last value stored had others evicted, and no entry has left since. */
  #isFull = false;
  #isClosed = false;

  constructor({ maxBytes, channels, clock }: Readonly<MemoryStoreOptions>) {
    this.#channels = channels;
    this.#clock = clock;
    this.#admission = new Admission(maxBytes);
    this.#accounts = new Accounts(maxBytes);
    this.#maxBytes = maxBytes;
    this.#entries = new LRUCache({
      maxSize: maxBytes,
      sizeCalculation: ({ bytes }) => bytes,
      dispose: ({ owner, bytes }, _key, reason) => {
        this.#accounts.add(owner, -bytes);
        if (reason !== 'set') this.#isFull = false;
      },
    });
  }

  peek(key: string): Remembered<Buffer | Live | undefined> | undefined {
    return this.#isClosed ? undefined : (this.#fresh(key) ?? ABSENT);
  }

  admits(name: string): boolean {
    return !this.#isFull || this.#admission.admits(name);
  }

  async get(key: string): Promise<Buffer | undefined> {
    return this.#bytes(key);
  }

  async getAll(keys: readonly string[]): Promise<(Buffer | undefined)[]> {
    return keys.map((key) => this.#bytes(key));
  }

  async set(
    key: string,
    value: Buffer | string | Live,
    ttlMs: number,
    { owner, under, gone }: SetOptions = {},
  ): Promise<void> {
    assertTtl(ttlMs);
    const kept = isLive(value) ? value : ownBytes(value);
    if (!under || this.#isInForce(under, owner)) this.#put(key, kept, ttlMs, owner);
    if (gone !== undefined) this.#entries.delete(gone);
  }

  async renew(key: string, word: string, ttlMs: number): Promise<void> {
    assertTtl(ttlMs);
    this.#put(key, ownBytes(RENEWED + word), ttlMs);
  }

  /** @param owner whose account the new value is charged to; default: nobody's */
  async swap(
    key: string,
    expected: Buffer | undefined,
    value: string,
    ttlMs: number,
    owner?: string,
  ): Promise<Buffer> {
    assertTtl(ttlMs);
    const present = this.#bytes(key);
    if (present && !(expected && present.equals(expected))) return present;
    const added = ownBytes(value);
    this.#put(key, added, ttlMs, owner);
    return added;
  }

  async claim(key: string, value: string, ttlMs: number): Promise<boolean> {
    return (await this.swap(key, undefined, value, ttlMs)).toString() === value;
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

  /** The value's time to live and owner; `undefined` when there is no such value. */
  kept(key: string): Kept | undefined {
    const entry = this.#entries.peek(key);
    return entry && { ttlMs: leftMs(entry, this.#clock), owner: entry.owner };
  }

  /** All values in the store. */
  *all(): Iterable<Kept & { readonly key: string; readonly value: Buffer }> {
    for (const [key, entry] of this.#entries.entries()) {
      const ttlMs = leftMs(entry, this.#clock);
      if (ttlMs > 0) yield { key, value: bytesOf(entry.value), ttlMs, owner: entry.owner };
    }
  }

  /** Drops all values. `peek` knows nothing from now on. */
  close(): void {
    this.#isClosed = true;
    this.#entries.clear();
  }

  #put(key: string, value: Buffer | Live, ttlMs: number, writer = NOBODY): void {
    const before = this.#entries.peek(key);
    const owner = before && before.owner !== writer ? NOBODY : writer;
    const bytes = entryBytes(key, value.byteLength) + (owner === NOBODY ? 0 : OWNER_BYTES + owner.length);
    this.#isFull = false;
    if (!this.#makeRoom(bytes - (before?.bytes ?? 0), writer, key)) {
      // The old value is out of date.
      this.#entries.delete(key);
      this.#isFull = true;
      return;
    }
    const wasFull = this.#isFull;
    // A value that replaces a used one counts as used itself.
    const used = before?.used ?? false;
    const entry = { value, expiresAtTicks: this.#clock.ticks() + ttlMs, owner, bytes, used };
    this.#entries.set(key, entry);
    if (this.#entries.peek(key) === entry) this.#accounts.add(owner, bytes);
    this.#isFull = wasFull;
  }

  /** Evicts entries until there is room for `bytes` more, and returns whether there is. The entry of `kept` stays. */
  #makeRoom(bytes: number, writer: string, kept: string): boolean {
    // A value larger than the store will not be stored, so nothing is evicted for it.
    if (bytes > this.#maxBytes) return true;
    while (this.#entries.calculatedSize + bytes > this.#maxBytes) {
      if (!this.#makeOneLeave(writer, kept)) return false;
    }
    return true;
  }

  /**
   * Evicts one entry. Entries that must stay become the most recently used, so that they are not tried again at once.
   */
  #makeOneLeave(writer: string, kept: string): boolean {
    const passed: string[] = [];
    let leaving: string | undefined;
    for (const key of this.#entries.rkeys()) {
      const entry = this.#entries.peek(key) as Entry;
      const isOver = entry.expiresAtTicks <= this.#clock.ticks();
      if (key !== kept && (isOver || this.#accounts.makesRoom(entry.owner, writer))) {
        leaving = key;
        break;
      }
      passed.push(key);
      if (passed.length === MOST_LOOKED_AT) break;
    }
    for (const key of passed) this.#entries.get(key);
    if (leaving !== undefined) this.#leave(leaving);
    return leaving !== undefined;
  }

  #leave(key: string): void {
    const entry = this.#entries.peek(key) as Entry;
    this.#entries.delete(key);
    this.#isFull = true;
    if (isLive(entry.value)) this.#admission.left(entry.used);
  }

  /** Whether the word is in force. It is put in force first where it may be. */
  #isInForce({ key, value, ttlMs, mayBegin }: Under, owner: string | undefined): boolean {
    const present = this.#bytes(key)?.toString('latin1');
    if (present === value) return true;
    const isRenewed = present === RENEWED + value;
    if (!isRenewed && (present !== undefined || !mayBegin)) return false;
    this.#put(key, ownBytes(value), ttlMs, owner);
    return true;
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
