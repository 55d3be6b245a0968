import { ErrorReply } from 'redis';
import type { Cancel, Clock } from '../../clock/clock.ts';
import { Deadlines } from '../../timeout/deadlines.ts';
import { asError } from '../../util/asError.ts';
import type { Channels } from '../channels.ts';
import { DeadlineError, withDeadline } from '../deadline.ts';
import { type Group, type Remembered, StoreUnavailableError, type Usage } from '../store.ts';
import { ConsecutiveTimeouts } from './consecutiveTimeouts.ts';
import { LocalCache } from './localCache.ts';
import { type Client, type ClientOptions, clientFor, examine } from './redisClient.ts';
import { endsConnection, hintAboutTls, redisReason, UnusableRedisError } from './redisReason.ts';
import { isUnknownScript, ScriptDigests } from './scripts.ts';

/** Timeouts in a row that end a connection. */
const TIMEOUTS_TO_GIVE_UP = 3;

export interface RedisConnectionOptions extends ClientOptions {
  /** How long a command may take, in milliseconds. */
  readonly timeoutMs: number;
  /** Time between two PINGs, in milliseconds. */
  readonly heartbeatMs: number;
  /** Bound on the values remembered in this process, in bytes. */
  readonly localBytes: number;
  /** Longest time a value is remembered, in milliseconds. */
  readonly localMaxAgeMs: number;
  /** Its channels are subscribed when the connection opens, and it gets their messages. */
  readonly channels: Channels;
  readonly clock: Clock;
  /**
   * Called when Redis does not let this user subscribe to a channel. Its subscribers get no messages; all else works.
   */
  readonly onChannelRefused: (error: Error) => void;
  /** Called once, with the reason, when the connection cannot be used any more. */
  readonly onLost: (cause: Error) => void;
}

/**
 * One connection to Redis, from a successful PING until it is lost. It does not reconnect: a new object takes its place.
 *
 * Values that are read are remembered here, and Redis reports every change to this connection (CLIENT TRACKING). The memory
 * is dropped along with the connection, so that no value stays after a change may have been missed.
 */
export class RedisConnection {
  readonly #client: Client;
  readonly #options: RedisConnectionOptions;
  readonly #local: LocalCache<Buffer | undefined>;
  readonly #localGroups: LocalCache<Group>;
  /** Channels belong to the whole Redis, so their names begin with the number of the database. */
  readonly #prefix: string;
  readonly #timeouts = new ConsecutiveTimeouts(TIMEOUTS_TO_GIVE_UP);
  readonly #deadlines: Deadlines;
  readonly #scripts = new ScriptDigests();
  readonly #scriptsUnderWay = new Set<Promise<unknown>>();
  #cancelHeartbeat: Cancel = () => {};
  #isConnected = false;
  #endedBecause: Error | undefined;

  constructor(options: RedisConnectionOptions) {
    this.#options = options;
    this.#prefix = `${new URL(options.url).pathname.slice(1) || '0'}:`;
    const { localBytes: maxBytes, localMaxAgeMs: maxAgeMs, clock } = options;
    this.#deadlines = new Deadlines(options.timeoutMs, clock);
    this.#local = new LocalCache({ maxBytes, maxAgeMs, clock });
    // Groups do not expire, and there are only a few.
    this.#localGroups = new LocalCache({
      maxBytes,
      largestEntry: 1,
      maxAgeMs: Number.POSITIVE_INFINITY,
      clock,
    });
    this.#client = clientFor(options)
      .on('error', (error: Error) => this.#lose(error))
      .on('invalidate', (key: Buffer | null) => (key ? this.#forget(String(key)) : this.#forgetAll()))
      // A socket may still open after the attempt was given up: it is closed.
      .on('connect', () => this.#endedBecause && this.#client.destroy());
  }

  /**
   * Connects; to be called once. Rejects with the reason when Redis is not there, refuses, is no primary, or does not reply
   * to PING within `timeoutMs`. The connection is closed then.
   */
  async open(): Promise<void> {
    const { connectTimeoutMs, clock } = this.#options;
    try {
      await this.#begin(new Deadlines(connectTimeoutMs, clock));
      await this.#inTime(examine(this.#client));
    } catch (error) {
      this.#lose(asError(error));
    }
    if (this.#endedBecause) throw this.#endedBecause;
    this.#beatLater();
  }

  peek(key: string): Remembered<Buffer | undefined> | undefined {
    return this.#local.get(key);
  }

  get(key: string): Promise<Buffer | undefined> | Buffer | undefined {
    const remembered = this.peek(key);
    if (remembered) return remembered.value;
    return this.#local.load(key, async () => (await this.#ask<Buffer | null>(['GET', key])) ?? undefined);
  }

  /** The same for several keys in one command. */
  getAll(keys: readonly string[]): Promise<(Buffer | undefined)[]> {
    let asked: Promise<(Buffer | null)[]> | undefined;
    const fetch = async (at: number) => {
      asked ??= this.#ask<(Buffer | null)[]>(['MGET', ...keys]);
      return (await asked)[at] ?? undefined;
    };
    return Promise.all(
      keys.map((key, at) => {
        const remembered = this.peek(key);
        return remembered ? remembered.value : this.#local.load(key, () => fetch(at));
      }),
    );
  }

  async set(key: string, value: Buffer | string, ttlMs: number): Promise<void> {
    this.#local.forget(key);
    await this.#ask(['SET', key, value, 'PX', String(ttlMs)]);
  }

  /** Resolves to whether there was no value. */
  async setIfAbsent(key: string, value: string, ttlMs: number): Promise<boolean> {
    this.#local.forget(key);
    return (await this.#ask(['SET', key, value, 'PX', String(ttlMs), 'NX'])) !== null;
  }

  async delete(key: string): Promise<void> {
    this.#local.forget(key);
    await this.#ask(['DEL', key]);
  }

  peekGroup(name: string): Remembered<Group> | undefined {
    return this.#localGroups.get(name);
  }

  getGroup(name: string): Promise<Group> | Group {
    const remembered = this.peekGroup(name);
    if (remembered) return remembered.value;
    return this.#localGroups.load(name, () => this.#readGroup(name));
  }

  async #readGroup(name: string): Promise<Group> {
    const fields = await this.#ask<Readonly<Record<string, Buffer>>>(['HGETALL', name]);
    return Object.entries(fields).map(([id, value]) => ({ id, value }));
  }

  async putInGroup(name: string, id: string, value: string): Promise<void> {
    this.#forget(name);
    await this.#ask(['HSET', name, id, value]);
  }

  async removeFromGroup(name: string, id: string): Promise<boolean> {
    this.#forget(name);
    return (await this.#ask<number>(['HDEL', name, id])) > 0;
  }

  /** Runs a Lua script that writes the first `written` of `keys`; the others are not read otherwise. */
  evaluate(
    script: string,
    keys: readonly string[],
    args: readonly (string | Buffer)[],
    written = 1,
  ): Promise<unknown> {
    for (const key of keys.slice(0, written)) this.#forget(key);
    const outcome = this.#run(script, [String(keys.length), ...keys, ...args]);
    this.#scriptsUnderWay.add(outcome);
    const over = () => void this.#scriptsUnderWay.delete(outcome);
    outcome.then(over, over);
    return outcome;
  }

  async #run(script: string, rest: readonly (string | Buffer)[]): Promise<unknown> {
    try {
      return await this.#ask(['EVALSHA', this.#scripts.of(script), ...rest]);
    } catch (error) {
      if (!isUnknownScript(error)) throw error;
      return this.#ask(['EVAL', script, ...rest]);
    }
  }

  /** Sends a command that only reads, without remembering its reply. */
  async read(command: readonly string[]): Promise<unknown> {
    return this.#ask(command);
  }

  get nearUsage(): Usage {
    return this.#local.usage;
  }

  async publish(channel: string, message: string): Promise<void> {
    await this.#ask(['PUBLISH', this.#prefix + channel, message]);
  }

  /**
   * When subscribing fails the connection is closed: otherwise subscribers would take a lack of messages for no news.
   */
  async subscribe(channel: string): Promise<void> {
    try {
      await this.#inTime(this.#hear(channel));
    } catch (error) {
      this.#lose(asError(error));
    }
  }

  /** Rejects when Redis does not confirm it. Messages that still arrive then are dropped. */
  async unsubscribe(channel: string): Promise<void> {
    await this.#inTime(this.#client.unsubscribe(this.#prefix + channel, this.#deliver));
  }

  /** Closes the connection, or gives up opening it. Commands under way may finish within their deadline. */
  async close(): Promise<void> {
    if (this.#endedBecause) return;
    this.#endedBecause = new Error('closed');
    this.#cancelHeartbeat();
    // A script that Redis does not know yet is sent once more, which a client that closes would refuse.
    await withDeadline(Promise.allSettled(this.#scriptsUnderWay), this.#deadlines).catch(() => {});
    await withDeadline(this.#client.close(), this.#deadlines).catch(() => this.#client.destroy());
  }

  #forget(key: string): void {
    this.#local.forget(key);
    this.#localGroups.forget(key);
  }

  #forgetAll(): void {
    this.#local.forgetAll();
    this.#localGroups.forgetAll();
  }

  async #begin(deadlines: Deadlines): Promise<void> {
    await withDeadline(this.#client.connect(), deadlines);
    this.#isConnected = true;
    await withDeadline(
      Promise.all(this.#options.channels.names.map((channel) => this.#hear(channel))),
      deadlines,
    );
  }

  /** A refusal does not close the connection, since a new connection would be refused as well. */
  async #hear(channel: string): Promise<void> {
    try {
      await this.#client.subscribe(this.#prefix + channel, this.#deliver);
    } catch (error) {
      if (!(error instanceof ErrorReply)) throw error;
      const pattern = `&${this.#prefix}${channel}`;
      this.#options.onChannelRefused(
        new StoreUnavailableError(`Redis: ${error.message}: its user needs ${pattern}`, { cause: error }),
      );
    }
  }

  readonly #deliver = (message: string, channel: string): void => {
    this.#options.channels.deliver(channel.slice(this.#prefix.length), message);
  };

  /** Sends a command. Every failure becomes a `StoreUnavailableError`. */
  async #ask<T>(command: ReadonlyArray<string | Buffer>): Promise<T> {
    try {
      return await this.#inTime(this.#client.sendCommand<T>(command));
    } catch (error) {
      // What Redis replies says more than why the connection has ended meanwhile.
      const cause = error instanceof ErrorReply ? error : (this.#endedBecause ?? asError(error));
      throw new StoreUnavailableError(`Redis: ${redisReason(cause)}`, { cause });
    }
  }

  /** The outcome of `command` within the deadline. After several timeouts in a row the connection is closed. */
  async #inTime<T>(command: Promise<T>): Promise<T> {
    const round = this.#timeouts.begin();
    try {
      const reply = await withDeadline(command, this.#deadlines);
      this.#timeouts.reset();
      return reply;
    } catch (error) {
      if (error instanceof ErrorReply) {
        // A refusal is a reply: a full Redis that refuses writes can still be read.
        this.#timeouts.reset();
        if (endsConnection(error)) this.#lose(error);
      }
      if (error instanceof DeadlineError && this.#timeouts.timedOut(round)) this.#lose(error);
      throw error;
    }
  }

  #beatLater(): void {
    this.#cancelHeartbeat = this.#options.clock.after(this.#options.heartbeatMs, () => this.#beat());
  }

  /**
   * Asks until Redis replies or the connection is given up. Without it an idle gateway would serve remembered values for
   * long, and a primary that has become a replica still serves reads.
   */
  async #beat(): Promise<void> {
    while (!this.#endedBecause) {
      try {
        await this.#inTime(examine(this.#client));
        if (!this.#endedBecause) this.#beatLater();
        return;
      } catch (error) {
        if (!(error instanceof DeadlineError)) this.#lose(asError(error));
      }
    }
  }

  #lose(error: Error): void {
    if (this.#endedBecause) return;
    const hint = this.#isConnected ? undefined : hintAboutTls(this.#options.url, error);
    const cause = hint ? new UnusableRedisError(`${redisReason(error)}; ${hint}`, false) : error;
    this.#endedBecause = cause;
    this.#cancelHeartbeat();
    this.#client.destroy();
    this.#options.onLost(cause);
  }
}
