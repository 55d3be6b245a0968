import { ErrorReply, RESP_TYPES, RedisClient } from 'redis';
import { UnusableRedisError } from './redisReason.ts';

const IS_REPLICA = 'it is a replica, and only its primary takes writes';
const IS_CLUSTER =
  'it is a node of a cluster (cluster_enabled:1), which this gateway cannot use: name a single Redis, or a primary with replicas';
const IS_SENTINEL = 'it is a Sentinel: name the Redis that it watches';

export type Client = ReturnType<typeof clientFor>;

export interface ClientOptions {
  readonly url: string;
  /** How long connecting and authenticating may take, in milliseconds. */
  readonly connectTimeoutMs: number;
}

/**
 * `createClient` makes a class of all commands for each client whose options differ from those of the client before. That
 * takes 40 ms and leaves 10 MiB of garbage, for each connection to each node. Here there is one class. It
 * speaks RESP 3, which is also what its clients speak when they are not told.
 */
const newClient = RedisClient.factory({ RESP: 3 });

/**
 * node-redis, set up as one connection that does not reconnect. Its `clientSideCache` is not used: it copies every hit
 * (0.4 ms for 1 MiB), is bounded in entries only, and leaks an entry for each key it evicts.
 */
export function clientFor({ url, connectTimeoutMs }: ClientOptions) {
  return newClient({
    url,
    emitInvalidate: true,
    disableOfflineQueue: true,
    maintNotifications: 'disabled',
    // Its own command timeout covers only the time until the command is written, and costs an AbortSignal each.
    commandOptions: { timeout: 0, typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer } },
    socket: { reconnectStrategy: false, connectTimeout: connectTimeoutMs },
  });
}

/**
 * Rejects unless Redis responds and is a primary outside of a cluster. PING is refused while it loads its data, or as a
 * replica that has lost its primary. HELLO tells its role, and no ACL can forbid it.
 */
export async function examine(client: Client): Promise<void> {
  const [hello] = await Promise.all([
    client.sendCommand<unknown>(['HELLO', '3']).catch(nothingFrom),
    client.ping(),
  ]);
  const { mode, role } = (hello ?? {}) as { mode?: unknown; role?: unknown };
  if (String(mode) === 'cluster') throw new UnusableRedisError(IS_CLUSTER, true);
  if (String(mode) === 'sentinel') throw new UnusableRedisError(IS_SENTINEL, true);
  if (String(role) === 'replica') throw new UnusableRedisError(IS_REPLICA, false);
}

/** The reply of a server that refuses HELLO: it does not say what it is. */
function nothingFrom(error: unknown): undefined {
  if (!(error instanceof ErrorReply)) throw error;
}
