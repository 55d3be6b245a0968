import { once } from 'node:events';
import type { Server } from 'node:http';
import { tellParent } from '../messages.ts';
import { LOOPBACK, portOf } from '../ports.ts';
import { listenHost } from './container.ts';

/** Requests in flight get this long to finish when a service stops. */
const STOP_GRACE_MS = 3000;
/** Longer than any pool of the gateway keeps a connection, so that none is closed just as it is used. */
const KEEP_ALIVE_MS = 75_000;

/** Aborted by SIGTERM or Ctrl-C. */
export function stopOnSignal(): AbortController {
  const stopping = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stopping.abort());
  return stopping;
}

/** Resolves with the port, once the server takes requests from this machine. */
export async function listenOnLoopback(server: Server, port: number): Promise<number> {
  return listen(server, port, LOOPBACK);
}

/** The same, but in a container from its network. */
export async function listen(server: Server, port: number, host = listenHost()): Promise<number> {
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  server.listen(port, host);
  await once(server, 'listening');
  return portOf(server);
}

/** Says where it listens: to the playground or, run alone, to people. */
export function announce(name: string, port: number): void {
  if (process.connected) tellParent({ type: 'listening', port });
  else print(`${name} listens on http://${LOOPBACK}:${port}`);
}

export function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Runs the whole process; what it throws is shown to people, with the usage, and ends it. */
export async function endOnFault(usage: string, run: () => Promise<void>): Promise<void> {
  try {
    await run();
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n${usage}\n`);
    process.exit(1);
  }
}

/** Takes no more requests, and ends the process when those in flight are done or out of time. */
export function endWith(server: Server): void {
  server.close(() => process.exit(0));
  setTimeout(() => process.exit(0), STOP_GRACE_MS);
}
