import { type EmbeddedStoreOptions, openEmbeddedStore } from './embedded.ts';
import type { RedisOptions } from './redis/redis.ts';
import type { ShardedStoresOptions } from './sharded/sharded.ts';
import type { Stores } from './store.ts';

export interface OpenStoresOptions extends EmbeddedStoreOptions, RedisOptions {
  /** Redis when given. */
  readonly redisUrl?: string | undefined;
  /** Several servers of Redis when there are any. Neither this nor `redisUrl`: the embedded store. */
  readonly redisNodes?: ShardedStoresOptions['nodes'];
}

/** The store that the options ask for. Rejects, with what to do about it, when it cannot be opened. */
export async function openStores(given: Readonly<OpenStoresOptions>): Promise<Stores> {
  const { redisUrl, redisNodes = [], ...options } = given;
  // Redis's client is a third of all modules: only who wants Redis waits for it.
  if (redisNodes.length > 0) {
    const { openShardedStore } = await import('./sharded/sharded.ts');
    return openShardedStore({ ...options, nodes: redisNodes });
  }
  if (!redisUrl) return openEmbeddedStore(options);
  const { openRedisStore } = await import('./redis/redis.ts');
  return openRedisStore({ ...options, url: redisUrl });
}
