import type { Clock } from '../../lib/clock/clock.ts';
import { Channels } from '../../lib/store/channels.ts';
import { MemoryStore } from '../../lib/store/memory.ts';
import { type ResponseStore, StoreUnavailableError } from '../../lib/store/store.ts';

/** The store that the embedded gateway keeps responses in, with room for anything a test stores. */
export function memoryStore(clock: Clock): MemoryStore {
  return new MemoryStore({ maxBytes: 2 ** 26, channels: new Channels(() => {}), clock });
}

/** A store that is away until the test says otherwise. */
export class FailingStore implements ResponseStore {
  readonly #store: ResponseStore;
  failing = true;

  constructor(store: ResponseStore) {
    this.#store = store;
  }

  get(key: string) {
    return this.#answer(() => this.#store.get(key));
  }
  set(key: string, value: Buffer | string, ttlMs: number) {
    return this.#answer(() => this.#store.set(key, value, ttlMs));
  }
  swap(key: string, expected: Buffer | undefined, value: string, ttlMs: number) {
    return this.#answer(() => this.#store.swap(key, expected, value, ttlMs));
  }
  usage() {
    return this.#answer(() => this.#store.usage());
  }
  delete(key: string) {
    return this.#answer(() => this.#store.delete(key));
  }
  publish(channel: string, message: string) {
    return this.#answer(() => this.#store.publish(channel, message));
  }
  subscribe(channel: string, listener: (message: string) => void) {
    return this.#store.subscribe(channel, listener);
  }

  async #answer<T>(ask: () => Promise<T>): Promise<T> {
    if (this.failing) throw new StoreUnavailableError('the store is away');
    return ask();
  }
}

/** A store in memory that remembers what was set, by key. */
export class WatchedStore extends MemoryStore {
  readonly written = new Map<string, Buffer | string>();

  constructor(clock: Clock) {
    super({ maxBytes: 2 ** 26, channels: new Channels(() => {}), clock });
  }

  override set(key: string, value: Buffer | string, ttlMs: number) {
    this.written.set(key, value);
    return super.set(key, value, ttlMs);
  }

  /** The keys of stored answers. */
  get entryKeys(): string[] {
    return [...this.written.keys()].filter((key) => key.startsWith('cache:entry:'));
  }
}
