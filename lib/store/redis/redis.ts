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

/** What holds for one server as for several. */
export interface RedisOptions {
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

export interface RedisStoresOptions extends RedisOptions {
  /** `redis[s]://[[user]:password@]host[:port][/database]`. Redis 6 or newer. */
  readonly url: string;
}

/** The options with their defaults. Throws `RangeError` when a number is none that can be used. */
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
