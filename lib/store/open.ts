import { type EmbeddedStoreOptions, openEmbeddedStore } from './embedded.ts';
import type { RedisOptions } from './redis/redis.ts';
import type { ShardedStoresOptions } from './sharded/sharded.ts';
import type { Stores } from './store.ts';

export interface OpenStoresOptions extends EmbeddedStoreOptions, RedisOptions {
  /** One Redis. */
  readonly redisUrl?: string | undefined;
  /** Several servers of Redis. With neither this nor `redisUrl` the embedded store is opened. */
  readonly redisNodes?: ShardedStoresOptions['nodes'];
}

/** Opens the store that the options ask for. When it cannot be opened it rejects with an error that says what to do. */
export async function openStores(given: Readonly<OpenStoresOptions>): Promise<Stores> {
  const { redisUrl, redisNodes = [], ...options } = given;
  // Loaded on demand: the Redis client is a third of all modules.
  if (redisNodes.length > 0) {
    const { openShardedStore } = await import('./sharded/sharded.ts');
    return openShardedStore({ ...options, nodes: redisNodes });
  }
  if (!redisUrl) return openEmbeddedStore(options);
  const { openRedisStore } = await import('./redis/redis.ts');
  return openRedisStore({ ...options, url: redisUrl });
}
