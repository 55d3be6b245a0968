import type { Eviction } from './redis/eviction.ts';

/** Ends a subscription. */
export type Unsubscribe = () => Promise<void>;

/**
 * What the gateways of one deployment share: tokens, revocations, stored responses.
 *
 * Every method but `subscribe` rejects with `StoreUnavailableError` when the store does not reply within its deadline, and
 * at once while it is known to be away. Callers decide what that means for them.
 */
export interface Store {
  /**
   * The value last set, or `undefined` when there is none or it has expired.
   * The buffer is shared with other callers: it must not be written to.
   */
  get(key: string): Promise<Buffer | undefined>;
  /**
   * Stores `value` for `ttlMs` milliseconds; rejects with `RangeError` unless that is a positive whole number. A buffer
   * passed here must not be written to afterwards.
   */
  set(key: string, value: Buffer | string, ttlMs: number): Promise<void>;
  delete(key: string): Promise<void>;
  /** Tells every subscriber of `channel` on every gateway that shares the store, this one included. */
  publish(channel: string, message: string): Promise<void>;
  /**
   * Resolves once messages arrive. While the store is away it resolves at once, and messages arrive when the store is back;
   * those published meanwhile are lost. Rejects only after `close()`.
   */
  subscribe(channel: string, listener: (message: string) => void): Promise<Unsubscribe>;
}

/** A value that this process knows without asking; `value` is undefined when the key is known to be absent. */
export interface Remembered<V> {
  readonly value: V;
}

/** One value of a group. Its id says what it is about where the value itself cannot be read. */
export interface Member {
  readonly id: string;
  readonly value: Buffer;
}

/** A few values that are always read together. Two have the same id only where copies of one store differ. */
export type Group = readonly Member[];

export interface SetTokenOptions {
  /**
   * Whether `set` rejects unless the value survives the loss of any one server that the store is spread over. Default
   * false.
   */
  readonly lasts?: boolean;
}

/**
 * A store whose values this process also remembers: those that it has read and that no gateway has changed since. Nothing
 * is served from that memory while the store is known to be away.
 */
export interface TokenStore extends Store {
  set(key: string, value: Buffer | string, ttlMs: number, options?: SetTokenOptions): Promise<void>;
  /** What `get` would resolve to, if that is known without asking. Never throws. */
  peek(key: string): Remembered<Buffer | undefined> | undefined;
  /** Every member of the group; the same array until the group changes. */
  getGroup(name: string): Promise<Group>;
  /** What `getGroup` would resolve to, if that is known without asking. Never throws. */
  peekGroup(name: string): Remembered<Group> | undefined;
  /** Puts a value into the group, replacing the one with this id. It stays until it is removed, and `lasts`. */
  putInGroup(name: string, id: string, value: string): Promise<void>;
  /** Resolves to whether there was a value with this id. */
  removeFromGroup(name: string, id: string): Promise<boolean>;
}

/** How much is stored in one place. */
export interface Usage {
  /** `store`: shared by all gateways. `near`: what this process remembers of it. */
  readonly tier: 'store' | 'near';
  readonly entries: number;
  /** Keys, values and overhead together. */
  readonly bytes: number;
}

/** A value that stays an object as long as it stays in this process, and is bytes elsewhere. */
export interface Live {
  /** About how much memory it takes. */
  readonly byteLength: number;
  /** The value as any process can read it. */
  toBytes(): Buffer;
}

/** A short word under a key of its own. A value is set only while the word is in force. */
export interface Under {
  readonly key: string;
  readonly value: string;
  /** How long the word holds when it is put there along with the value, in milliseconds. */
  readonly ttlMs: number;
  /** Whether the word may be put in force: when there is none, or when `renew` has put it there for a short time. */
  readonly mayBegin: boolean;
}

/** Options of setting a response. */
export interface SetOptions {
  /**
   * Whose account the value is charged to. A full store evicts values of owners that use as much as this one or more. A value
   * that two owners have set one after the other belongs to nobody. Default: nobody.
   */
  readonly owner?: string | undefined;
  /** The value is set only if this word is in force. */
  readonly under?: Under | undefined;
  /**
   * A key that is deleted right after, whether the value was set or not. When `set` rejects, it may not have been
   * deleted.
   */
  readonly gone?: string | undefined;
}

/**
 * The one key of responses that a store has on all of its servers, because it is read along with each other key. Each new
 * value must be greater than the one before, compared byte by byte.
 */
export const EVERYWHERE_KEY = 'cache:purges';

/** Precedes a word that `renew` has put there, until something is set under it. It is not part of the word. */
export const RENEWED = '~';

/**
 * A bounded store of responses: a full one evicts entries before they expire. It never evicts values of owners that use less
 * for one that uses more.
 */
export interface ResponseStore extends Store {
  /** Whether other threads or gateways see what is stored here. */
  readonly isShared: boolean;
  /**
   * Whether the store would keep a response for `name` that is not stored yet. To be called once for each request that
   * misses. A full store may decline: a response that nobody asks for again would take the place of one in use. A store
   * that does not judge always returns true.
   */
  admits(name: string): boolean;
  /** What `get` would give for each key; where the store is another process, in one command. */
  getAll(keys: readonly string[]): Promise<(Buffer | undefined)[]>;
  /** A live value is kept as it is in memory, and stored as its bytes elsewhere. */
  set(key: string, value: Buffer | string | Live, ttlMs: number, options?: SetOptions): Promise<void>;
  /**
   * Puts a new word under `key`, whatever is there, preceded by `RENEWED`. From now on nothing is set under another word. The
   * store need not count it towards its bound, since it is short-lived unless something is set under it.
   */
  renew(key: string, word: string, ttlMs: number): Promise<void>;
  /** What `get` would resolve to, or its live value, if that is known without asking. Never throws. */
  peek(key: string): Remembered<Buffer | Live | undefined> | undefined;
  /**
   * Compare and set: if the value of `key` is `expected` (undefined stands for none), it becomes `value` for `ttlMs`. Resolves
   * to the value in force afterwards. It is atomic: of many callers on many gateways one wins, and all learn which.
   */
  swap(key: string, expected: Buffer | undefined, value: string, ttlMs: number): Promise<Buffer>;
  /**
   * `swap` where no value is expected, for a short value that is soon deleted: the store need not count it towards its
   * bound. Resolves to whether `value` is there now.
   */
  claim(key: string, value: string, ttlMs: number): Promise<boolean>;
  /** Rejects with `StoreUnavailableError` as the other methods do. */
  usage(): Promise<readonly Usage[]>;
}

/**
 * Runs a Lua script that writes `keys`, none of which the store has values under. Where it is spread over several servers all of
 * them must have the same tag (`tagOf`). Rejects with `StoreUnavailableError` as the methods of a store do.
 */
export type Evaluate = (
  script: string,
  keys: readonly string[],
  args: readonly (string | Buffer)[],
) => Promise<unknown>;

/** One of the servers that a store is spread over. */
export interface NodeState {
  readonly name: string;
  /** Whether it responds and accepts writes. */
  readonly isUp: boolean;
}

/** The two kinds of shared state. With Redis both are the same server. */
export interface Stores {
  /** Tokens and revocations, which survive a restart of the gateway. */
  readonly tokens: TokenStore;
  /** Cached responses, which may be lost at any time. */
  readonly responses: ResponseStore;
  /** Runs a script atomically for all gateways, which only Redis can do; undefined for an embedded store. */
  readonly evaluate: Evaluate | undefined;
  /**
   * Resolves when the store has responded for the first time, has refused for good, or has not responded within the time
   * that a start gives it. Never rejects. It is resolved from the beginning where opening the store has waited for that.
   */
  readonly settled: Promise<void>;
  /**
   * Why the tokens cannot be relied on at this moment, in words for people. Undefined when they can: the store responds and
   * accepts writes. Never rejects.
   */
  trouble(): Promise<string | undefined>;
  /**
   * What is wrong although the tokens can be relied on, in words for people: one of several servers is away. Undefined when
   * nothing is wrong. Never rejects.
   */
  degraded(): Promise<string | undefined>;
  /** The servers that the store is spread over; none when it is not spread. Never rejects. */
  nodes(): Promise<readonly NodeState[]>;
  /** How a full store may evict revocations; undefined when it does not, or when that is not known. Never rejects. */
  eviction(): Promise<Eviction | undefined>;
  close(): Promise<void>;
}

/** The store did not reply in time, refused the command, or is known to be away. */
export class StoreUnavailableError extends Error {
  override readonly name = 'StoreUnavailableError';
  readonly code = 'store_unavailable';
  readonly status = 503;
}

export function isLive(value: Buffer | string | Live): value is Live {
  return typeof value === 'object' && !Buffer.isBuffer(value);
}

/** Throws `RangeError` unless `ttlMs` is a positive whole number. */
export function assertTtl(ttlMs: number): void {
  if (!Number.isSafeInteger(ttlMs) || ttlMs < 1) {
    throw new RangeError(`store: ttlMs must be a positive whole number of milliseconds, got ${ttlMs}`);
  }
}
