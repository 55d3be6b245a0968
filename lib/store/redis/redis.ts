import { type Clock, systemClock } from '../../clock/clock.ts';
import { listener } from '../../util/listener.ts';
import type { Stores } from '../store.ts';
import type { Eviction } from './eviction.ts';
import { RedisNode, type StoreStateChange } from './redisNode.ts';
import { assertPositive, assertUrl, startFailure } from './redisStart.ts';

export type { StoreStateChange } from './redisNode.ts';

const DEFAULT_HEARTBEAT_MS = 200;
const DEFAULT_TIMEOUT_MS = 50;
const DEFAULT_CONNECT_TIMEOUT_MS = 5_000;
const DEFAULT_LOCAL_BYTES = 32 * 1024 * 1024;
const DEFAULT_MAX_RESPONSE_BYTES = 64 * 1024 * 1024;

/** Options for one server and for several. */
export interface RedisOptions {
  /** How long a command may take, in milliseconds, 1 or more. Default 50. */
  readonly timeoutMs?: number;
  /** Whether opening fails without Redis. When false the store begins as away. Default true. */
  readonly required?: boolean;
  /** How long opening waits for Redis, in milliseconds, 1 or more. Default 5000. */
  readonly connectTimeoutMs?: number;
  /** Memory for remembered values, in bytes, for each of the two stores. Default 32 MiB. */
  readonly localBytes?: number;
  /** Bound on the responses in Redis, in bytes. Default 64 MiB. */
  readonly maxResponseBytes?: number;
  /** Time between two PINGs, in milliseconds, 1 or more. Default 200. */
  readonly heartbeatMs?: number;
  readonly onStateChange?: (change: StoreStateChange) => void;
  /** Called once for each policy when a connected Redis may evict revocations. */
  readonly onEviction?: (eviction: Eviction) => void;
  /** Called with errors in the background: a callback or subscriber that threw. */
  readonly onError?: (error: Error) => void;
  readonly clock?: Clock;
}

export interface RedisStoresOptions extends RedisOptions {
  /** `redis[s]://[[user]:password@]host[:port][/database]`. Redis 6 or newer. */
  readonly url: string;
}

/** The options with their defaults. Throws `RangeError` for a number out of range. */
export function completeOptions(options: Readonly<RedisOptions>) {
  const numbers = {
    timeoutMs: options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
    connectTimeoutMs: options.connectTimeoutMs ?? DEFAULT_CONNECT_TIMEOUT_MS,
    heartbeatMs: options.heartbeatMs ?? DEFAULT_HEARTBEAT_MS,
    localBytes: options.localBytes ?? DEFAULT_LOCAL_BYTES,
    maxResponseBytes: options.maxResponseBytes ?? DEFAULT_MAX_RESPONSE_BYTES,
  };
  assertPositive(numbers);
  const { required = true, clock = systemClock, onStateChange, onEviction } = options;
  return { ...numbers, required, clock, onStateChange, onEviction, onError: listener(options.onError) };
}

/**
 * Opens shared state in Redis. Values that were read once are served from memory until Redis reports that they have changed,
 * which takes about a millisecond. While Redis is away nothing is served from memory. A Redis that stops responding is
 * noticed after `heartbeatMs` + 3 x `timeoutMs` at the latest, 0.35 s by default, and its return within 1.1 s.
 *
 * The connection to a Redis that has become a replica, or is loading its data, is closed like one that does not respond. So
 * after a failover behind the same address the next attempt finds the new primary.
 *
 * Rejects with `StoreUnavailableError` when `required` and Redis does not respond within `connectTimeoutMs`, and at once when
 * it refuses for good: a wrong password, or a node of a cluster. It waits for a Redis that is loading its data.
 */
export async function openRedisStore({ url, ...options }: Readonly<RedisStoresOptions>): Promise<Stores> {
  assertUrl(url);
  const complete = completeOptions(options);
  const node = new RedisNode({ ...complete, url });
  const start = startFailure(node, complete);
  const failure = complete.required ? await start : undefined;
  if (failure) {
    await node.close();
    throw failure;
  }
  const tell = listener(complete.onStateChange, complete.onError);
  let isOpen = true;
  const settled = start.then((cause) => {
    if (cause && isOpen) tell({ store: 'tokens', ready: false, cause });
  });
  const { tokens, responses } = node;
  return {
    tokens,
    responses,
    evaluate: (script, keys, args) => tokens.evaluate(script, keys, args),
    settled: complete.required ? Promise.resolve() : settled,
    trouble: () => tokens.trouble(),
    degraded: async () => undefined,
    nodes: async () => [],
    eviction: () => node.eviction(),
    close() {
      isOpen = false;
      return node.close();
    },
  };
}
