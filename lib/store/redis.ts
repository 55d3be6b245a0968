import { type Cancel, type Clock, systemClock } from '../clock/clock.ts';
import { listener } from '../exchange/listener.ts';
import { BoundedRedis } from './boundedRedis.ts';
import { Channels } from './channels.ts';
import { type Eviction, evictionIn } from './eviction.ts';
import { isLoading, redisReason } from './redisReason.ts';
import { RedisStore } from './redisStore.ts';
import { type Stores, StoreUnavailableError } from './store.ts';

/** Time for one attempt to connect; more attempts follow. One that is under way when Redis comes back delays the next. */
const ATTEMPT_TIMEOUT_MS = 500;
const HEARTBEAT_MS = 200;
/** How long an expired value may be remembered here when Redis is slow to collect it. */
const LOCAL_MAX_AGE_MS = 10_000;
const DEFAULT_LOCAL_BYTES = 32 * 1024 * 1024;
const DEFAULT_MAX_RESPONSE_BYTES = 64 * 1024 * 1024;
const FOREVER_MS = 2 ** 31 - 1;

/** Redis was lost or is back, for one of the two stores. */
export interface StoreStateChange {
  readonly store: 'tokens' | 'responses';
  readonly ready: boolean;
  /** Why it was lost. */
  readonly cause?: Error;
}

export interface RedisStoresOptions {
  /** `redis[s]://[[user]:password@]host[:port][/database]`. Redis 6 or newer. */
  readonly url: string;
  /** Time a command may take, in milliseconds, 1 or more. Default 50. */
  readonly timeoutMs?: number;
  /** Whether a start without Redis fails. When false the store starts away. Default true. */
  readonly required?: boolean;
  /** How long a start waits for Redis, in milliseconds, 1 or more. Default 5000. */
  readonly connectTimeoutMs?: number;
  /** Memory for remembered values, in bytes, for each of the two stores. Default 32 MiB. */
  readonly localBytes?: number;
  /** Bound on the responses in Redis, in bytes. Default 64 MiB. */
  readonly maxResponseBytes?: number;
  /** Time between two PINGs, in milliseconds, 1 or more. Default 200. */
  readonly heartbeatMs?: number;
  readonly onStateChange?: (change: StoreStateChange) => void;
  /** Told whenever Redis is reached, once for each policy, that it may evict revocations. */
  readonly onEviction?: (eviction: Eviction) => void;
  /** Gets what goes wrong in the background: a callback or subscriber that threw. */
  readonly onError?: (error: Error) => void;
  readonly clock?: Clock;
}

/**
 * Shared state in Redis. Values that were read once are answered from memory until Redis says that they have
 * changed, which takes about a millisecond; while Redis is away nothing is answered from memory. A Redis that
 * stops answering is noticed after `heartbeatMs` + 3 x `timeoutMs` at the latest, 0.35 s by default, and one that
 * is back within 1.1 s.
 *
 * A Redis that has become a replica, or says that it loads, is given up like one that is silent; so after a failover
 * behind one address the next attempt finds the new primary.
 *
 * Rejects with `StoreUnavailableError` when `required` and Redis does not answer within `connectTimeoutMs`, and at once
 * when it refuses for good: a wrong password, a node of a cluster. While it loads its data it is waited for.
 */
export async function openRedisStore(options: Readonly<RedisStoresOptions>): Promise<Stores> {
  const { required = true, clock = systemClock, timeoutMs = 50, connectTimeoutMs = 5_000 } = options;
  const { heartbeatMs = HEARTBEAT_MS, localBytes = DEFAULT_LOCAL_BYTES, url } = options;
  const { maxResponseBytes = DEFAULT_MAX_RESPONSE_BYTES } = options;
  assertUrl(url);
  assertPositive({ timeoutMs, connectTimeoutMs, heartbeatMs, localBytes, maxResponseBytes });
  const onError = listener(options.onError);
  const onStateChange = listener(options.onStateChange, onError);

  const onEviction = listener(options.onEviction, onError);
  let toldPolicy: string | undefined;
  async function warnOfEviction(): Promise<void> {
    const found = await eviction();
    if (found && found.policy !== toldPolicy) onEviction(found);
    toldPolicy = found?.policy;
  }

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
        onStateChange({ store, ready, cause });
        if (ready && store === 'tokens') void warnOfEviction();
      },
    });
  // A connection each: a queue of large bodies must not make a revocation check miss its deadline.
  const tokens = open('tokens');
  const responses = open('responses');
  /** By INFO, as many a Redis that is rented out knows no CONFIG. An ACL may forbid both: then nobody knows. */
  const eviction = () =>
    tokens.read(['INFO', 'memory']).then(
      (info) => evictionIn(String(info)),
      () => undefined,
    );
  const close = async () => {
    await Promise.all([tokens.close(), responses.close()]);
  };

  if (required) {
    const failure = await startFailure([tokens, responses], { url, connectTimeoutMs, clock, onError });
    if (failure) {
      await close();
      throw failure;
    }
  }
  return {
    tokens,
    responses: new BoundedRedis(responses, maxResponseBytes),
    evaluate: (script, keys, args) => tokens.evaluate(script, keys, args),
    trouble: () => tokens.trouble(),
    eviction,
    close,
  };
}

interface Start {
  readonly url: string;
  readonly connectTimeoutMs: number;
  readonly clock: Clock;
  readonly onError: (error: Error) => void;
}

/** Why the gateway cannot start; undefined once every store has connected. */
async function startFailure(stores: readonly RedisStore[], start: Start): Promise<Error | undefined> {
  const { url, connectTimeoutMs, clock, onError } = start;
  // The clock's timers let the process end, which it would between two attempts.
  const keepAlive = setInterval(() => {}, FOREVER_MS);
  const tooLate = Promise.withResolvers<Error>();
  let cancel: Cancel = () => {};
  function wait(): void {
    cancel = clock.after(connectTimeoutMs, () => {
      const cause = stores.find(({ awayBecause }) => awayBecause)?.awayBecause;
      if (!cause || !isLoading(cause)) return tooLate.resolve(notThereError(url, connectTimeoutMs, cause));
      onError(
        new StoreUnavailableError(`Redis at ${withoutPassword(url)}: ${redisReason(cause)}`, { cause }),
      );
      wait();
    });
  }
  wait();
  const connected = Promise.all(stores.map(({ firstReady }) => firstReady)).then(
    () => undefined,
    (cause: Error) => refusedError(url, cause),
  );
  try {
    return await Promise.race([connected, tooLate.promise]);
  } finally {
    cancel();
    clearInterval(keepAlive);
  }
}

function refusedError(url: string, cause: Error): StoreUnavailableError {
  return new StoreUnavailableError(`REDIS_URL: ${redisReason(cause)}, at ${withoutPassword(url)}`, { cause });
}

function notThereError(url: string, waitedMs: number, cause: Error | undefined): StoreUnavailableError {
  const reason = cause ? redisReason(cause) : 'no reason known';
  return new StoreUnavailableError(
    `Redis at ${withoutPassword(url)} could not be used within ${waitedMs} ms: ${reason}. ` +
      'Start it, correct REDIS_HOST/REDIS_URL, or set REDIS_REQUIRED=false to start without it',
    { cause },
  );
}

function withoutPassword(url: string): string {
  return url.replace(/(\/\/[^:@]*):.*@/, '$1:***@');
}

function assertUrl(url: string): void {
  if (/^rediss?:/.test(url) && /^\/?\d*$/.test(URL.parse(url)?.pathname ?? 'not a URL')) return;
  throw new TypeError(`openRedisStore: url must look like redis://host:6379/0, got ${withoutPassword(url)}`);
}

function assertPositive(numbers: Record<string, number>): void {
  for (const [name, value] of Object.entries(numbers)) {
    if (Number.isSafeInteger(value) && value > 0) continue;
    throw new RangeError(`openRedisStore: ${name} must be a whole number above 0, got ${value}`);
  }
}
