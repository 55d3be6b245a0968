import { type EmbeddedStoreOptions, openEmbeddedStore } from './embedded.ts';
import { openRedisStore, type RedisStoresOptions } from './redis.ts';
import type { Stores } from './store.ts';

export interface OpenStoresOptions extends EmbeddedStoreOptions, Omit<RedisStoresOptions, 'url'> {
  /** Redis when given, the embedded store otherwise. */
  readonly redisUrl?: string;
}

/** The store that the options ask for. Rejects, with what to do about it, when it cannot be opened. */
export async function openStores({ redisUrl, ...options }: Readonly<OpenStoresOptions>): Promise<Stores> {
  return redisUrl ? openRedisStore({ ...options, url: redisUrl }) : openEmbeddedStore(options);
}
