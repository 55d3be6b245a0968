import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from '../eventually.ts';
import { ensureCommand } from '../processes/command.ts';
import { TiedProcess } from '../processes/tiedProcess.ts';

/** Options of redis-server for a server that keeps every acknowledged write across `kill()` and `restart()`. */
export const DURABLE = ['--appendonly', 'yes', '--appendfsync', 'always'];

/** A redis-server of its own: a real process on a free port, with its own directory. */
export interface RedisServer {
  readonly url: string;
  readonly port: number;
  /** Process id of redis-server; another one after `restart()`. */
  readonly pid: number;
  /** SIGKILL; resolves when the process is gone. */
  kill(): Promise<void>;
  /** SIGSTOP: connections stay open and nothing is answered. */
  freeze(): void;
  thaw(): void;
  /** Starts again on the same port and directory, after `kill()` when it still runs; `more` are further options. */
  restart(more?: readonly string[]): Promise<void>;
  /** Ends the process and removes its directory. */
  stop(): Promise<void>;
}

/** Starts a redis-server and resolves when it answers. It dies with this process, whatever that dies of. */
export async function startRedis({ args = [] }: { args?: readonly string[] } = {}): Promise<RedisServer> {
  ensureRedisBinary();
  const directory = mkdtempSync(join(tmpdir(), 'gateway-redis-'));
  const port = await freePort();
  let running = await launch(port, directory, args);

  const kill = () => running.kill();
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    get pid() {
      return running.pid;
    },
    kill,
    freeze: () => process.kill(running.pid, 'SIGSTOP'),
    thaw: () => process.kill(running.pid, 'SIGCONT'),
    async restart(more = []) {
      await kill();
      running = await launch(port, directory, [...args, ...more]);
    },
    async stop() {
      await kill();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** A port nobody listens on at this moment. */
export async function freePort(): Promise<number> {
  const server: Server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** Makes sure that `redis-server` can be run, as `ensureCommand` does. */
export function ensureRedisBinary(): void {
  ensureCommand('redis-server', 'redis-server', 'install Redis 6 or newer, or set TEST_REDIS_URL');
}

async function launch(port: number, directory: string, args: readonly string[]): Promise<TiedProcess> {
  const settings = ['--port', String(port), '--bind', '127.0.0.1', '--dir', directory, '--save', ''];
  const logging = ['--logfile', 'redis.log', '--loglevel', 'warning'];
  const running = await TiedProcess.start('redis-server', [...settings, ...logging, ...args]);
  try {
    await eventually(`redis-server answers on port ${port}`, () => answersPing(port));
  } catch (error) {
    await running.kill();
    throw error;
  }
  return running;
}

function answersPing(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write('PING\r\n'));
    socket.once('data', (data) => {
      // A server that wants a password first is up as well, and so is a replica without its primary.
      resolve(/^(\+PONG|-NOAUTH|-MASTERDOWN)/.test(data.toString()));
      socket.destroy();
    });
    socket.once('error', () => resolve(false));
  });
}
