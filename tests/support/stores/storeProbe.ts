import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { createClient } from 'redis';
import { fileKey } from '../../../lib/store/sqlite/sqlite.ts';
import { redisTestUrl, type TestGateway } from '../gateway/gateway.ts';

/** Looks at a gateway's tokens in its store, behind the gateway's back. */
export interface StoreProbe extends AsyncDisposable {
  get(key: string): Promise<string | undefined>;
  /** What `keys` calls a key: the file of the embedded store holds no token. */
  nameOf(key: string): string;
  /** The key's remaining life in milliseconds; undefined when there is no such key. */
  leftMs(key: string): Promise<number | undefined>;
  keys(): Promise<string[]>;
}

/** The way of the documents: `redis-cli`, or SQL for the embedded store. */
export async function probeTokens({ gateway }: TestGateway): Promise<StoreProbe> {
  const { redisUrl, dataDir } = gateway.parts.settings;
  return redisUrl ? redisProbe(redisUrl) : sqliteProbe(join(dataDir, 'tokens.db'));
}

/** Removes what earlier tests of this worker have left in its database of the shared Redis. */
export async function emptyTestRedis(): Promise<void> {
  const client = await createClient({ url: redisTestUrl() }).connect();
  const keys = await client.keys('*');
  // Not FLUSHDB: that would make every gateway of the run forget what it remembers.
  if (keys.length > 0) await client.unlink(keys);
  await client.close();
}

async function redisProbe(url: string): Promise<StoreProbe> {
  const client = await createClient({ url }).connect();
  return {
    get: async (key) => (await client.get(key)) ?? undefined,
    nameOf: (key) => key,
    async leftMs(key) {
      const leftMs = Number(await client.pTTL(key));
      return leftMs === -2 ? undefined : leftMs;
    },
    keys: () => client.keys('*'),
    [Symbol.asyncDispose]: () => client.close(),
  };
}

async function sqliteProbe(file: string): Promise<StoreProbe> {
  const database = new DatabaseSync(file, { readOnly: true });
  const row = (key: string) => database.prepare('SELECT * FROM entries WHERE key = ?').get(fileKey(key));
  return {
    nameOf: fileKey,
    async get(key) {
      const value = row(key)?.value;
      return value instanceof Uint8Array ? Buffer.from(value).toString() : undefined;
    },
    async leftMs(key) {
      const expiresAtMs = row(key)?.expires_at_ms;
      return expiresAtMs === undefined ? undefined : Number(expiresAtMs) - Date.now();
    },
    keys: async () =>
      database
        .prepare('SELECT key FROM entries')
        .all()
        .map(({ key }) => String(key)),
    async [Symbol.asyncDispose]() {
      database.close();
    },
  };
}
