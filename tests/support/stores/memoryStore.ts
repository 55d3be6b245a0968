import type { Clock } from '../../../lib/clock/clock.ts';
import { Channels } from '../../../lib/store/channels.ts';
import { MemoryStore } from '../../../lib/store/memory/memory.ts';
import {
  type Group,
  type Member,
  type ResponseStore,
  type SetOptions,
  StoreUnavailableError,
  type TokenStore,
} from '../../../lib/store/store.ts';

/** The store that the embedded gateway keeps responses in, with room for anything a test stores. */
export function memoryStore(clock: Clock): MemoryStore {
  return new MemoryStore({ maxBytes: 2 ** 26, channels: new Channels(() => {}), clock });
}

/** A store for tokens in memory that knows everything without asking. Made of closures: `{ ...store, get }` works. */
export function memoryTokens(clock: Clock): TokenStore {
  const entries = new Map<string, { value: Buffer; expiresAtMs: number }>();
  const groups = new Map<string, Map<string, Member>>();
  const read = new Map<string, Group>();
  const channels = new Channels(() => {});
  const live = (key: string) => {
    const entry = entries.get(key);
    return entry && entry.expiresAtMs > clock.now() ? entry.value : undefined;
  };
  const groupOf = (name: string) => {
    const group = read.get(name) ?? [...(groups.get(name) ?? new Map()).values()];
    read.set(name, group);
    return group;
  };
  return {
    peek: (key) => ({ value: live(key) }),
    get: async (key) => live(key),
    set: async (key, value, ttlMs) =>
      void entries.set(key, { value: Buffer.from(value), expiresAtMs: clock.now() + ttlMs }),
    delete: async (key) => void entries.delete(key),
    peekGroup: (name) => ({ value: groupOf(name) }),
    getGroup: async (name) => groupOf(name),
    async putInGroup(name, id, value) {
      read.delete(name);
      groups.set(name, (groups.get(name) ?? new Map()).set(id, { id, value: Buffer.from(value) }));
    },
    async removeFromGroup(name, id) {
      read.delete(name);
      return groups.get(name)?.delete(id) ?? false;
    },
    publish: async (channel, message) => channels.deliver(channel, message),
    subscribe: async (channel, listener) => {
      const leave = channels.join(channel, listener);
      return async () => leave();
    },
  };
}

/** The same, away until the test says otherwise: then nothing is answered, from memory neither. */
export function failingTokens(store: TokenStore): TokenStore & { failing: boolean } {
  const failing = Object.assign({}, store, { failing: true });
  for (const name of ['get', 'set', 'delete', 'getGroup', 'putInGroup', 'removeFromGroup'] as const) {
    const ask = store[name] as (...args: unknown[]) => Promise<unknown>;
    Object.assign(failing, {
      async [name](...args: unknown[]) {
        if (failing.failing) throw new StoreUnavailableError('the store is away');
        return ask(...args);
      },
    });
  }
  failing.peek = (key) => (failing.failing ? undefined : store.peek(key));
  failing.peekGroup = (name) => (failing.failing ? undefined : store.peekGroup(name));
  return failing;
}

/** A store that must be asked for everything, and is away until the test says otherwise. */
export class FailingStore implements ResponseStore {
  readonly isShared = true;
  readonly #store: ResponseStore;
  failing = true;

  constructor(store: ResponseStore) {
    this.#store = store;
  }

  peek() {
    return undefined;
  }
  admits() {
    return true;
  }
  get(key: string) {
    return this.#answer(() => this.#store.get(key));
  }
  getAll(keys: readonly string[]) {
    return this.#answer(() => this.#store.getAll(keys));
  }
  set(key: string, value: Buffer | string, ttlMs: number, options?: SetOptions) {
    return this.#answer(() => this.#store.set(key, value, ttlMs, options));
  }
  renew(key: string, word: string, ttlMs: number) {
    return this.#answer(() => this.#store.renew(key, word, ttlMs));
  }
  swap(key: string, expected: Buffer | undefined, value: string, ttlMs: number) {
    return this.#answer(() => this.#store.swap(key, expected, value, ttlMs));
  }
  claim(key: string, value: string, ttlMs: number) {
    return this.#answer(() => this.#store.claim(key, value, ttlMs));
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

  override set(key: string, value: Buffer | string, ttlMs: number, options?: SetOptions) {
    this.written.set(key, value);
    return super.set(key, value, ttlMs, options);
  }

  /** The keys of stored answers. */
  get entryKeys(): string[] {
    return [...this.written.keys()].filter((key) => key.startsWith('cache:entry:'));
  }
}
