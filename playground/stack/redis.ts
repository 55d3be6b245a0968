import { once } from 'node:events';
import { connect } from 'node:net';

const CONNECT_TIMEOUT_MS = 2000;
const DEFAULT_PORT = 6379;

export class RedisAbsentError extends Error {
  override readonly name = 'RedisAbsentError';
}

/** Throws `RedisAbsentError` when nothing listens at the URL. */
export async function assertRedisListens(url: string): Promise<void> {
  const { hostname, port, host } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port) || DEFAULT_PORT });
  try {
    await once(socket, 'connect', { signal: AbortSignal.timeout(CONNECT_TIMEOUT_MS) });
  } catch {
    throw new RedisAbsentError(
      `No Redis listens at ${host}: start one (redis-server), give its address as --redis=redis://host:port, ` +
        'or leave the flag out and use the embedded store.',
    );
  } finally {
    socket.destroy();
  }
}
