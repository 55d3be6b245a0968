import type { Eviction } from './redis/eviction.ts';

/** Gives up a subscription. */
export type Unsubscribe = () => Promise<void>;

/**
 * What the gateways of one deployment share: tokens, revocations, stored responses.
 *
 * Every method but `subscribe` rejects with `StoreUnavailableError` within the store's own deadline when the
 * store cannot answer, and at once while it is known to be away. Callers decide what that means for them.
 */
export interface Store {
  /**
   * The value last set, or `undefined` when there is none or it has expired.
   * The buffer is shared with other callers: it must not be written to.
   */
  get(key: string): Promise<Buffer | undefined>;
  /**
   * Stores `value` for `ttlMs`, a positive whole number of milliseconds; rejects with `RangeError` otherwise.
   * A buffer given away here must not be written to afterwards.
   */
  set(key: string, value: Buffer | string, ttlMs: number): Promise<void>;
  delete(key: string): Promise<void>;
  /** Tells every subscriber of `channel` on every gateway that shares the store, this one included. */
  publish(channel: string, message: string): Promise<void>;
  /**
   * Resolves once messages arrive. While the store is away it resolves at once and messages arrive from its
   * return on; what was published meanwhile is lost. Rejects only after `close()`.
   */
  subscribe(channel: string, listener: (message: string) => void): Promise<Unsubscribe>;
}

/** A value as this process knows it; `value` is undefined when the key is known to be absent. */
export interface Remembered<V> {
  readonly value: V;
}

/** A few values that are always read together, each under an id of its own. */
export type Group = readonly Buffer[];

export interface SetTokenOptions {
  /** Rejects unless the value outlives the loss of any one server of those that the store is spread over. Default false. */
  readonly lasts?: boolean;
}

/**
 * A store that also answers at once, from this process's memory: what was read before and has not changed since,
 * on any gateway. Nothing is answered from memory while the store is known to be away.
 */
export interface TokenStore extends Store {
  set(key: string, value: Buffer | string, ttlMs: number, options?: SetTokenOptions): Promise<void>;
  /** What `get` would give, if that is known without asking. Never throws. */
  peek(key: string): Remembered<Buffer | undefined> | undefined;
  /** Every value of the group; the same array until the group changes. */
  getGroup(name: string): Promise<Group>;
  /** What `getGroup` would give, if that is known without asking. Never throws. */
  peekGroup(name: string): Remembered<Group> | undefined;
  /** Puts a value into the group, in place of the one with this id. It stays until it is removed, and `lasts`. */
  putInGroup(name: string, id: string, value: string): Promise<void>;
  /** Resolves to whether there was one. */
  removeFromGroup(name: string, id: string): Promise<boolean>;
}

/** How much one place holds. */
export interface Usage {
  /** `store`: what all gateways share; `near`: what this process remembers of it. */
  readonly tier: 'store' | 'near';
  readonly entries: number;
  /** Keys, values and overhead. */
  readonly bytes: number;
}

/** A value that can stay what it is as long as it stays in this process. */
export interface Live {
  /** What it holds, about. */
  readonly byteLength: number;
  /** What any process can read. */
  toBytes(): Buffer;
}

/** A short word that must be in force for a value to be set. */
export interface Under {
  readonly key: string;
  readonly value: string;
  /** How long the word holds when it is put there along with the value, in milliseconds. */
  readonly ttlMs: number;
  /** Whether it may be put there: when there is none, or when `renew` has put it there for a short time. */
  readonly mayBegin: boolean;
}

/** What goes along with a value. */
export interface SetOptions {
  /**
   * On whose account it is kept. A full store makes room among what belongs to those who hold as much as this owner or
   * more; what two owners have set one after the other belongs to nobody. Default: nobody's.
   */
  readonly owner?: string | undefined;
  /** Nothing is set unless this word is in force. */
  readonly under?: Under | undefined;
  /** Deleted right behind it, whether it was set or not. When `set` rejects neither may have been done. */
  readonly gone?: string | undefined;
}

/**
 * The one key of responses that a store has on each of its servers, since all others are read along with it. Its values must
 * grow, compared byte by byte.
 */
export const EVERYWHERE_KEY = 'cache:purges';

/** Marks a word that `renew` has put there, until something is set under it. It is no part of the word. */
export const RENEWED = '~';

/**
 * A store that never grows past a bound: what would, makes others leave before their time. It never takes from those who
 * hold less what it gives to one who holds more.
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
  /** Others get the bytes of a live value; in memory it is kept as it is. */
  set(key: string, value: Buffer | string | Live, ttlMs: number, options?: SetOptions): Promise<void>;
  /**
   * Puts a new word under `key`, whatever is there, with `RENEWED` in front of it: what is set under another word from now
   * on is not set. It may go uncounted and is for a short time only, unless something is set under it.
   */
  renew(key: string, word: string, ttlMs: number): Promise<void>;
  /** What `get` would give, or the live value it was made from, if that is known without asking. Never throws. */
  peek(key: string): Remembered<Buffer | Live | undefined> | undefined;
  /**
   * Makes `value` the value of `key` for `ttlMs` if that is `expected` now; undefined stands for none. Resolves to
   * the value in force afterwards. One step: of many callers on many gateways one wins and all learn who.
   */
  swap(key: string, expected: Buffer | undefined, value: string, ttlMs: number): Promise<Buffer>;
  /**
   * `swap` where no value is expected, for a short value that is soon deleted: the store need not count it towards its
   * bound. Resolves to whether `value` is there now.
   */
  claim(key: string, value: string, ttlMs: number): Promise<boolean>;
  /** Rejects with `StoreUnavailableError` as the others do. */
  usage(): Promise<readonly Usage[]>;
}

/** Runs a Lua script that writes `keys[0]`. Rejects as every method of a store does. */
export type Evaluate = (
  script: string,
  keys: readonly string[],
  args: readonly (string | Buffer)[],
) => Promise<unknown>;

/** One of the servers that a store is spread over. */
export interface NodeState {
  readonly name: string;
  /** Whether it answers and takes writes. */
  readonly isUp: boolean;
}

/** The two kinds of shared state. With Redis both are the same server. */
export interface Stores {
  /** Tokens and revocations: outlive a restart of the gateway. */
  readonly tokens: TokenStore;
  /** Cached responses: may be lost at any time. */
  readonly responses: ResponseStore;
  /** For what only Redis can do in one step for all gateways; undefined for an embedded store. */
  readonly evaluate: Evaluate | undefined;
  /**
   * Resolves when the store has answered for the first time, has refused for good, or has not answered within the time that
   * a start gives it. Never rejects. It has resolved already where opening the store has waited for that.
   */
  readonly settled: Promise<void>;
  /**
   * Why the tokens cannot be relied on at this moment, in words for people; undefined when they can: the store answers,
   * and takes writes. Never rejects.
   */
  trouble(): Promise<string | undefined>;
  /**
   * What is wrong although the tokens can be relied on, in words for people: one of several servers is away. Undefined when
   * nothing is. Never rejects.
   */
  degraded(): Promise<string | undefined>;
  /** The servers that the store is spread over; none when it is not spread. Never rejects. */
  nodes(): Promise<readonly NodeState[]>;
  /** How the store may drop revocations when it is full; undefined when it does not, or does not tell. Never rejects. */
  eviction(): Promise<Eviction | undefined>;
  close(): Promise<void>;
}

/** The store did not answer in time, refused the command, or is known to be away. */
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
