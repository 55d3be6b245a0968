import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';

/** Everything in the playground listens here and nowhere else. */
export const LOOPBACK = '127.0.0.1';

const MAX_PORT = 65_535;

export interface WantedPort {
  readonly port: number;
  /** Who wants it, for example `budgeting`. */
  readonly for: string;
  /** The flag that chooses another, for example `--base-port`. */
  readonly flag: string;
}

/** One or more ports cannot be used; the message names each, and the flag that changes it. */
export class TakenPortsError extends Error {
  override readonly name = 'TakenPortsError';
}

/** Throws `TakenPortsError` unless all of these can be listened on, at the same time. Port 0 always can. */
export async function assertFree(wanted: readonly WantedPort[]): Promise<void> {
  const held: Server[] = [];
  const complaints: string[] = [];
  for (const { port, for: owner, flag } of wanted) {
    try {
      held.push(await hold(port));
    } catch (error) {
      complaints.push(`Port ${port} for ${owner} is ${reasonOf(error)}: choose another with ${flag}.`);
    }
  }
  await Promise.all(held.map(letGo));
  if (complaints.length > 0) throw new TakenPortsError(complaints.join('\n'));
}

/** The given number of free ports, the lowest from `from` up that are not in `except`. */
export async function nextFreePorts(
  count: number,
  from: number,
  except: ReadonlySet<number>,
): Promise<number[]> {
  const held: Server[] = [];
  for (let port = from; held.length < count && port <= MAX_PORT; port++) {
    if (except.has(port)) continue;
    const server = await hold(port).catch(() => undefined);
    if (server) held.push(server);
  }
  const ports = held.map(portOf);
  await Promise.all(held.map(letGo));
  if (ports.length === count) return ports;
  throw new TakenPortsError(
    `There are no ${count} free ports from ${from} up: ask for fewer with --replicas.`,
  );
}

/** The port itself or, for 0, a free one. Use it at once: until then another process may take it. */
export async function settlePort(port: number): Promise<number> {
  if (port !== 0) return port;
  const server = await hold(0);
  const free = portOf(server);
  await letGo(server);
  return free;
}

async function hold(port: number): Promise<Server> {
  const server = createServer().listen(port, LOOPBACK);
  await once(server, 'listening');
  return server;
}

async function letGo(server: Server): Promise<void> {
  server.close();
  await once(server, 'close');
}

/** The port a TCP server listens on. */
export function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}

function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'EADDRINUSE') return 'taken';
  if (code === 'EACCES') return 'not permitted to this user';
  return `not usable (${code ?? error})`;
}
