import type { Clock } from '../../clock/clock.ts';
import { listener } from '../../util/listener.ts';
import { Channels } from '../channels.ts';
import { BoundedRedis } from './boundedRedis.ts';
import { type Eviction, evictionIn, fieldIn } from './eviction.ts';
import { RedisStore } from './redisStore.ts';

/** How long one attempt to connect may take. More attempts follow, and an attempt under way delays the next one. */
const ATTEMPT_TIMEOUT_MS = 500;
/** How long an expired value may be remembered here when Redis is slow to delete it. */
const LOCAL_MAX_AGE_MS = 10_000;

/** One of the two stores has lost Redis, or has it back. */
export interface StoreStateChange {
  readonly store: 'tokens' | 'responses';
  readonly ready: boolean;
  /** Why Redis was lost. */
  readonly cause?: Error | undefined;
  /** Which server, when there are several. */
  readonly node?: string | undefined;
}

export interface RedisNodeOptions {
  /** `redis[s]://[[user]:password@]host[:port][/database]`. Redis 6 or newer. */
  readonly url: string;
  /** Which server it is, when there are several. */
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

/** One server of Redis, with a connection for tokens and one for responses. */
export class RedisNode {
  readonly url: string;
  readonly name: string | undefined;
  /** Has a connection of its own, so that large bodies in a queue cannot make a revocation check miss its deadline. */
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

  /** Read from INFO, since managed Redis often has no CONFIG. Undefined also when an ACL forbids INFO. */
  async eviction(): Promise<Eviction | undefined> {
    const info = await this.tokens.read(['INFO', 'memory']).catch(() => '');
    const found = evictionIn(String(info));
    return found && { ...found, node: this.name };
  }

  /** Identifies the server, whatever name leads to it; undefined when it does not tell. */
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
