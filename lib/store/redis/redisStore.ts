import type { Cancel } from '../../clock/clock.ts';
import { asError } from '../../util/asError.ts';
import {
  assertTtl,
  type Group,
  type Remembered,
  StoreUnavailableError,
  type TokenStore,
  type Unsubscribe,
  type Usage,
} from '../store.ts';
import { WriteTrial } from '../writeTrial.ts';
import { RedisConnection, type RedisConnectionOptions } from './redisConnection.ts';
import { isFinal, redisReason } from './redisReason.ts';

const FIRST_RETRY_MS = 100;
const LONGEST_RETRY_MS = 500;
/** A key that an ACL lets this user write anyway, outside of the revocations, which operators list. */
const TRIAL_KEY = 'token:trial';
const TRIAL_TTL_MS = 1_000;

export interface RedisStoreOptions extends Omit<RedisConnectionOptions, 'onLost'> {
  /** Called after each change between reachable and away. */
  readonly onStateChange: (ready: boolean, cause: Error | undefined) => void;
}

type State =
  /** No connection; the next attempt is under way or planned. */
  | { readonly kind: 'away'; readonly cause: Error }
  | { readonly kind: 'ready'; readonly connection: RedisConnection }
  | { readonly kind: 'closed' };

/**
 * A store in Redis that reconnects by itself. While Redis is away every call is refused at once, and attempts to connect are
 * made in the background every 0.1 to 0.5 s.
 */
export class RedisStore implements TokenStore {
  readonly #options: RedisStoreOptions;
  readonly #firstReady = Promise.withResolvers<void>();
  readonly #writeTrial: WriteTrial;
  #state: State = { kind: 'away', cause: new Error('not connected yet') };
  /** The connection in use, or the one being opened. */
  #latest: RedisConnection | undefined;
  #retryMs = FIRST_RETRY_MS;
  #cancelRetry: Cancel = () => {};

  /** Starts connecting. */
  constructor(options: RedisStoreOptions) {
    this.#options = options;
    this.#writeTrial = new WriteTrial(() => this.set(TRIAL_KEY, '1', TRIAL_TTL_MS), options.clock);
    // Nobody looks at it where Redis is not required at the start.
    this.#firstReady.promise.catch(() => {});
    this.#connect();
  }

  /**
   * Resolves when Redis has responded for the first time. Rejects when it has refused for good, or the store was
   * closed, before.
   */
  get firstReady(): Promise<void> {
    return this.#firstReady.promise;
  }

  /** Why the store is away; undefined when it is not. */
  get awayBecause(): Error | undefined {
    return this.#state.kind === 'away' ? this.#state.cause : undefined;
  }

  async get(key: string): Promise<Buffer | undefined> {
    return this.#connection().get(key);
  }

  async getAll(keys: readonly string[]): Promise<(Buffer | undefined)[]> {
    return this.#connection().getAll(keys);
  }

  async set(key: string, value: Buffer | string, ttlMs: number): Promise<void> {
    assertTtl(ttlMs);
    return this.#connection().set(key, value, ttlMs);
  }

  /** `set` unless there is a value; resolves to whether there was none. */
  async setIfAbsent(key: string, value: string, ttlMs: number): Promise<boolean> {
    assertTtl(ttlMs);
    return this.#connection().setIfAbsent(key, value, ttlMs);
  }

  async delete(key: string): Promise<void> {
    return this.#connection().delete(key);
  }

  peek(key: string): Remembered<Buffer | undefined> | undefined {
    return this.#state.kind === 'ready' ? this.#state.connection.peek(key) : undefined;
  }

  async getGroup(name: string): Promise<Group> {
    return this.#connection().getGroup(name);
  }

  peekGroup(name: string): Remembered<Group> | undefined {
    return this.#state.kind === 'ready' ? this.#state.connection.peekGroup(name) : undefined;
  }

  async putInGroup(name: string, id: string, value: string): Promise<void> {
    return this.#connection().putInGroup(name, id, value);
  }

  async removeFromGroup(name: string, id: string): Promise<boolean> {
    return this.#connection().removeFromGroup(name, id);
  }

  /** Runs a Lua script that writes the first `written` of `keys`, one by default. */
  async evaluate(
    script: string,
    keys: readonly string[],
    args: readonly (string | Buffer)[],
    written?: number,
  ): Promise<unknown> {
    return this.#connection().evaluate(script, keys, args, written);
  }

  /** Sends a command that only reads, without remembering its reply. */
  async read(command: readonly string[]): Promise<unknown> {
    return this.#connection().read(command);
  }

  /** What this process remembers; nothing while Redis is away. */
  get nearUsage(): Usage {
    if (this.#state.kind === 'ready') return this.#state.connection.nearUsage;
    return { tier: 'near', entries: 0, bytes: 0 };
  }

  async publish(channel: string, message: string): Promise<void> {
    return this.#connection().publish(channel, message);
  }

  async subscribe(channel: string, listener: (message: string) => void): Promise<Unsubscribe> {
    if (this.#state.kind === 'closed') throw closedError();
    const { channels } = this.#options;
    const leave = channels.join(channel, listener);
    if (this.#state.kind === 'ready') await this.#state.connection.subscribe(channel);
    return async () => {
      leave();
      if (this.#state.kind !== 'ready' || channels.has(channel)) return;
      // If Redis refuses or is late, messages still arrive, and nobody listens to them.
      await this.#state.connection.unsubscribe(channel).catch(() => {});
    };
  }

  /** Why Redis cannot be relied on, in words; undefined when it responds and accepts writes. Never rejects. */
  async trouble(): Promise<string | undefined> {
    if (this.#state.kind === 'away') return `Redis: ${redisReason(this.#state.cause)}`;
    return this.#writeTrial.trouble();
  }

  async close(): Promise<void> {
    this.#enter({ kind: 'closed' });
    // Ends a start that still waits for it.
    this.#firstReady.reject(closedError());
    await this.#latest?.close();
  }

  #connection(): RedisConnection {
    if (this.#state.kind === 'ready') return this.#state.connection;
    if (this.#state.kind === 'closed') throw closedError();
    const { cause } = this.#state;
    throw new StoreUnavailableError(`Redis is away: ${redisReason(cause)}`, { cause });
  }

  async #connect(): Promise<void> {
    try {
      const connection = new RedisConnection({ ...this.#options, onLost: (cause) => this.#lost(cause) });
      this.#latest = connection;
      await connection.open();
      this.#enter({ kind: 'ready', connection });
      // Channels joined while the connection was opening may be missing; subscribing again to the others does nothing.
      for (const channel of this.#options.channels.names) connection.subscribe(channel);
    } catch (error) {
      const cause = asError(error);
      if (isFinal(cause)) this.#firstReady.reject(cause);
      this.#enter({ kind: 'away', cause });
    }
  }

  #lost(cause: Error): void {
    if (this.#state.kind === 'ready') this.#enter({ kind: 'away', cause });
  }

  /** The only method that changes the state. Once closed, it stays closed. */
  #enter(next: State): void {
    const before = this.#state.kind;
    if (before === 'closed') return;
    this.#state = next;
    this.#cancelRetry();
    if (next.kind === 'away') {
      this.#cancelRetry = this.#options.clock.after(this.#retryMs, () => this.#connect());
      this.#retryMs = Math.min(this.#retryMs * 2, LONGEST_RETRY_MS);
    }
    if (next.kind === 'ready') {
      this.#retryMs = FIRST_RETRY_MS;
      this.#firstReady.resolve();
      this.#options.onStateChange(true, undefined);
    }
    if (next.kind === 'away' && before === 'ready') this.#options.onStateChange(false, next.cause);
  }
}

function closedError(): StoreUnavailableError {
  return new StoreUnavailableError('the store is closed');
}
