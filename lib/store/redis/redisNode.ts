import type { Clock } from '../../clock/clock.ts';
import { listener } from '../../util/listener.ts';
import { Channels } from '../channels.ts';
import { BoundedRedis } from './boundedRedis.ts';
import { type Eviction, evictionIn, fieldIn } from './eviction.ts';
import { RedisStore } from './redisStore.ts';

/** Time for one attempt to connect; more attempts follow. One that is under way when Redis comes back delays the next. */
const ATTEMPT_TIMEOUT_MS = 500;
/** How long an expired value may be remembered here when Redis is slow to collect it. */
const LOCAL_MAX_AGE_MS = 10_000;

/** Redis was lost or is back, for one of the two stores. */
export interface StoreStateChange {
  readonly store: 'tokens' | 'responses';
  readonly ready: boolean;
  /** Why it was lost. */
  readonly cause?: Error | undefined;
  /** Which of several servers. */
  readonly node?: string | undefined;
}

export interface RedisNodeOptions {
  /** `redis[s]://[[user]:password@]host[:port][/database]`. Redis 6 or newer. */
  readonly url: string;
  /** Which of several servers it is. */
  readonly name?: string | undefined;
  readonly timeoutMs: number;
  readonly heartbeatMs: number;
  /** Memory for remembered values, in bytes, for each of the two stores. */
  readonly localBytes: number;
  /** Bound on the responses, in bytes. */
  readonly maxResponseBytes: number;
  readonly onStateChange?: ((change: StoreStateChange) => void) | undefined;
  readonly onEviction?: ((eviction: Eviction) => void) | undefined;
  readonly onError?: ((error: Error) => void) | undefined;
  readonly clock: Clock;
}

/** One server of Redis: tokens and responses, over a connection each. */
export class RedisNode {
  readonly url: string;
  readonly name: string | undefined;
  /** A connection of its own: a queue of large bodies must not make a revocation check miss its deadline. */
  readonly tokens: RedisStore;
  readonly responses: BoundedRedis;
  /** Both connections. */
  readonly stores: readonly RedisStore[];
  readonly #onEviction: (eviction: Eviction) => void;
  #toldPolicy: string | undefined;

  /** Starts connecting. */
  constructor(options: Readonly<RedisNodeOptions>) {
    const onError = listener(options.onError);
    const onStateChange = listener(options.onStateChange, onError);
    const { url, name, timeoutMs, heartbeatMs, localBytes, clock } = options;
    this.url = url;
    this.name = name;
    this.#onEviction = listener(options.onEviction, onError);
    const open = (store: 'tokens' | 'responses') =>
      new RedisStore({
        url,
        timeoutMs,
        connectTimeoutMs: ATTEMPT_TIMEOUT_MS,
        heartbeatMs,
        localBytes,
        localMaxAgeMs: LOCAL_MAX_AGE_MS,
        channels: new Channels(onError),
        clock,
        onChannelRefused: onError,
        onStateChange: (ready, cause) => {
          onStateChange({ store, ready, cause, node: name });
          if (ready && store === 'tokens') void this.#warnOfEviction();
        },
      });
    this.tokens = open('tokens');
    const responses = open('responses');
    this.stores = [this.tokens, responses];
    this.responses = new BoundedRedis(responses, options.maxResponseBytes);
  }

  /** By INFO, as many a Redis that is rented out knows no CONFIG. An ACL may forbid both: then nobody knows. */
  async eviction(): Promise<Eviction | undefined> {
    const info = await this.tokens.read(['INFO', 'memory']).catch(() => '');
    const found = evictionIn(String(info));
    return found && { ...found, node: this.name };
  }

  /** Which server it is, whatever name leads to it; undefined when it does not tell. */
  async runId(): Promise<string | undefined> {
    const info = await this.tokens.read(['INFO', 'server']).catch(() => '');
    return fieldIn(String(info), 'run_id');
  }

  async close(): Promise<void> {
    await Promise.all(this.stores.map((store) => store.close()));
  }

  async #warnOfEviction(): Promise<void> {
    const found = await this.eviction();
    if (found && found.policy !== this.#toldPolicy) this.#onEviction(found);
    this.#toldPolicy = found?.policy;
  }
}
