import { type RedisServer, startRedis } from './redis.ts';

declare global {
  /** The server that globalSetup started, for globalTeardown: Jest runs both in one process. */
  var sharedRedis: RedisServer | undefined;
}

/** Gives the run one Redis in `TEST_REDIS_URL`, unless the caller has named one. */
export default async function globalSetup(): Promise<void> {
  if (process.env.TEST_REDIS_URL) return;
  globalThis.sharedRedis = await startRedis();
  process.env.TEST_REDIS_URL = globalThis.sharedRedis.url;
}
