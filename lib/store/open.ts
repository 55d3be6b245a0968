import { type EmbeddedStoreOptions, openEmbeddedStore } from './embedded.ts';
import type { RedisStoresOptions } from './redis.ts';
import type { Stores } from './store.ts';

export interface OpenStoresOptions extends EmbeddedStoreOptions, Omit<RedisStoresOptions, 'url'> {
  /** Redis when given, the embedded store otherwise. */
  readonly redisUrl?: string;
}

/** The store that the options ask for. Rejects, with what to do about it, when it cannot be opened. */
export async function openStores({ redisUrl, ...options }: Readonly<OpenStoresOptions>): Promise<Stores> {
  if (!redisUrl) return openEmbeddedStore(options);
  // Its client is a third of all modules: only who wants Redis waits for it.
  const { openRedisStore } = await import('./redis.ts');
  return openRedisStore({ ...options, url: redisUrl });
}
