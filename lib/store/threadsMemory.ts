import type { MemoryStore } from './memory.ts';
import {
  assertTtl,
  isLive,
  type Live,
  type Remembered,
  type ResponseStore,
  type Unsubscribe,
  type Usage,
} from './store.ts';

/** What one thread has changed and the others are told. The bytes are shared, not copied. */
export type ResponseChange =
  | { readonly kind: 'set'; readonly key: string; readonly value: Uint8Array; readonly ttlMs: number }
  | { readonly kind: 'delete'; readonly key: string };

/** A swap that all threads make in one place, one after another. */
export interface Swap {
  readonly key: string;
  readonly expected: Uint8Array | undefined;
  readonly value: string;
  readonly ttlMs: number;
}

/** The value in force after a swap. */
export interface Swapped {
  readonly value: Uint8Array;
  readonly ttlMs: number;
}

/** The way to the other threads. What is told there arrives in one order everywhere. */
export interface ResponseLink {
  /** A `set` is told to all others; a `delete` to all, the thread itself included. */
  tell(change: ResponseChange): void;
  swap(swap: Swap): Promise<Swapped>;
  /** From now on `hear` is told what others tell, and first what was swapped before this thread began. */
  listen(hear: (change: ResponseChange) => void): void;
}

/**
 * The memory of one of several threads that all keep the same: what one stores, the others are told, and refer to the
 * same bytes. A look-up asks nobody. What another thread changes is seen once its message is read, within milliseconds.
 */
export class ThreadsMemoryStore implements ResponseStore {
  readonly #own: MemoryStore;
  readonly #link: ResponseLink;

  constructor(own: MemoryStore, link: ResponseLink) {
    this.#own = own;
    this.#link = link;
    link.listen((change) => void this.#hear(change));
  }

  get(key: string): Promise<Buffer | undefined> {
    return this.#own.get(key);
  }

  peek(key: string): Remembered<Buffer | Live | undefined> | undefined {
    return this.#own.peek(key);
  }

  async set(key: string, value: Buffer | string | Live, ttlMs: number): Promise<void> {
    assertTtl(ttlMs);
    const shared = sharedBytes(isLive(value) ? value.toBytes() : value);
    await this.#own.set(key, isLive(value) ? value : shared, ttlMs);
    this.#link.tell({ kind: 'set', key, value: shared, ttlMs });
  }

  async swap(key: string, expected: Buffer | undefined, value: string, ttlMs: number): Promise<Buffer> {
    assertTtl(ttlMs);
    const inForce = await this.#link.swap({ key, expected, value, ttlMs });
    const bytes = asBuffer(inForce.value);
    await this.#own.set(key, bytes, inForce.ttlMs);
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
    else await this.#own.set(change.key, asBuffer(change.value), change.ttlMs);
  }
}

/** Where the threads' swaps are made. It keeps nothing but what was swapped. */
export class SwapPlace {
  readonly #swapped: MemoryStore;

  constructor(swapped: MemoryStore) {
    this.#swapped = swapped;
  }

  /** `isNew`: it is the value that was to be put there, and everybody is to be told. */
  async swap({ key, expected, value, ttlMs }: Swap): Promise<Swapped & { readonly isNew: boolean }> {
    const inForce = await this.#swapped.swap(key, expected && asBuffer(expected), value, ttlMs);
    const isNew = inForce.equals(Buffer.from(value));
    return { value: inForce, ttlMs: this.#swapped.leftMs(key) ?? ttlMs, isNew };
  }

  delete(key: string): Promise<void> {
    return this.#swapped.delete(key);
  }

  /** For a thread that begins: everything that was swapped. */
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

/** What comes by message has lost what makes it a `Buffer`. */
function asBuffer({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength);
}
