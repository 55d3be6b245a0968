import { asBuffer } from '../bytes.ts';
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
import type { MemoryStore } from './memory.ts';

/** A change by one thread that the others are told of. The bytes are shared, not copied. */
export type ResponseChange =
  | {
      readonly kind: 'set';
      readonly key: string;
      readonly value: Uint8Array;
      readonly ttlMs: number;
      readonly owner?: string | undefined;
    }
  | { readonly kind: 'delete'; readonly key: string };

/** The size of the shared bytes of a change. */
export function sizeOf(change: ResponseChange): number {
  return change.kind === 'set' ? change.value.byteLength : 0;
}

/** A compare-and-set, which all threads make in one place, one after another. */
export interface Swap {
  readonly key: string;
  /** `anything`: the new value replaces whatever is there. */
  readonly expected: Uint8Array | 'anything' | undefined;
  readonly value: string;
  readonly ttlMs: number;
  /** Whose account the new value is charged to. Default: nobody's. */
  readonly owner?: string | undefined;
}

/** The value in force after a swap. */
export interface Swapped {
  readonly value: Uint8Array;
  readonly ttlMs: number;
  /** The owner; undefined: nobody. */
  readonly owner?: string | undefined;
}

/** The connection to the other threads. Changes arrive in the same order everywhere. */
export interface ResponseLink {
  /** Tells a `set` to all other threads, and a `delete` to all threads, this one included. */
  tell(change: ResponseChange): void;
  swap(swap: Swap): Promise<Swapped>;
  /** Calls `hear` with all swaps made before this thread began, and from then on with the changes of other threads. */
  listen(hear: (change: ResponseChange) => void): void;
}

/**
 * The store of one of several threads, all of which hold the same responses: what one stores the others are told, and they
 * refer to the same bytes. A look-up asks no other thread. A change by another thread is seen once its message is read,
 * within milliseconds.
 */
export class ThreadsMemoryStore implements ResponseStore {
  readonly isShared = true;
  readonly #own: MemoryStore;
  readonly #link: ResponseLink;

  constructor(own: MemoryStore, link: ResponseLink) {
    this.#own = own;
    this.#link = link;
    link.listen((change) => void this.#hear(change));
  }

  /** Every response is taken in: what one thread has not seen asked for another may have. */
  admits(_name: string): boolean {
    return true;
  }

  get(key: string): Promise<Buffer | undefined> {
    return this.#own.get(key);
  }

  getAll(keys: readonly string[]): Promise<(Buffer | undefined)[]> {
    return this.#own.getAll(keys);
  }

  peek(key: string): Remembered<Buffer | Live | undefined> | undefined {
    return this.#own.peek(key);
  }

  async set(
    key: string,
    value: Buffer | string | Live,
    ttlMs: number,
    { owner, under, gone }: SetOptions = {},
  ): Promise<void> {
    assertTtl(ttlMs);
    if (!under || (await this.#isInForce(under, owner))) await this.#setForAll(key, value, ttlMs, owner);
    if (gone !== undefined) await this.delete(gone);
  }

  async renew(key: string, word: string, ttlMs: number): Promise<void> {
    await this.#swap({ key, expected: 'anything', value: RENEWED + word, ttlMs });
  }

  swap(key: string, expected: Buffer | undefined, value: string, ttlMs: number): Promise<Buffer> {
    return this.#swap({ key, expected, value, ttlMs });
  }

  async claim(key: string, value: string, ttlMs: number): Promise<boolean> {
    return (await this.swap(key, undefined, value, ttlMs)).toString() === value;
  }

  async #setForAll(
    key: string,
    value: Buffer | string | Live,
    ttlMs: number,
    owner: string | undefined,
  ): Promise<void> {
    const shared = sharedBytes(isLive(value) ? value.toBytes() : value);
    await this.#own.set(key, isLive(value) ? value : shared, ttlMs, { owner });
    this.#link.tell({ kind: 'set', key, value: shared, ttlMs, owner });
  }

  /** Words are put in force in one place, so that all threads agree. */
  async #isInForce({ key, value, ttlMs, mayBegin }: Under, owner: string | undefined): Promise<boolean> {
    const present = (await this.#own.get(key))?.toString('latin1');
    if (present === value) return true;
    const renewed = RENEWED + value;
    if (present !== renewed && (present !== undefined || !mayBegin)) return false;
    const expected = present === undefined ? undefined : Buffer.from(renewed);
    return (await this.#swap({ key, expected, value, ttlMs, owner })).toString('latin1') === value;
  }

  async #swap(swap: Swap): Promise<Buffer> {
    assertTtl(swap.ttlMs);
    const { value, ttlMs, owner } = await this.#link.swap(swap);
    const bytes = asBuffer(value);
    await this.#own.set(swap.key, bytes, ttlMs, { owner });
    return bytes;
  }

  async delete(key: string): Promise<void> {
    await this.#own.delete(key);
    this.#link.tell({ kind: 'delete', key });
  }

  publish(channel: string, message: string): Promise<void> {
    return this.#own.publish(channel, message);
  }

  subscribe(channel: string, listener: (message: string) => void): Promise<Unsubscribe> {
    return this.#own.subscribe(channel, listener);
  }

  usage(): Promise<readonly Usage[]> {
    return this.#own.usage();
  }

  async #hear(change: ResponseChange): Promise<void> {
    if (change.kind === 'delete') await this.#own.delete(change.key);
    else await this.#own.set(change.key, asBuffer(change.value), change.ttlMs, { owner: change.owner });
  }
}

/** The place where swaps of all threads are made. It holds nothing else. */
export class SwapPlace {
  readonly #swapped: MemoryStore;

  constructor(swapped: MemoryStore) {
    this.#swapped = swapped;
  }

  /** `isNew`: the new value was put there, and all threads must be told. */
  async swap({ key, expected, value, ttlMs, owner }: Swap): Promise<Swapped & { readonly isNew: boolean }> {
    if (expected === 'anything') {
      await this.#swapped.set(key, value, ttlMs);
      return { value: Buffer.from(value), ttlMs, isNew: true };
    }
    const inForce = await this.#swapped.swap(key, expected && asBuffer(expected), value, ttlMs, owner);
    const isNew = inForce.equals(Buffer.from(value));
    // A value for which there is no room here is still in force for the thread that asked.
    const kept = this.#swapped.kept(key) ?? { ttlMs, owner };
    return { value: inForce, ...kept, isNew };
  }

  delete(key: string): Promise<void> {
    return this.#swapped.delete(key);
  }

  /** All swapped values, for a thread that begins. */
  get changes(): ResponseChange[] {
    return [...this.#swapped.all()].map((entry) => ({ kind: 'set', ...entry }));
  }
}

function sharedBytes(value: Buffer | string): Buffer {
  const bytes = Buffer.from(new SharedArrayBuffer(Buffer.byteLength(value)));
  if (typeof value === 'string') bytes.write(value);
  else bytes.set(value);
  return bytes;
}
