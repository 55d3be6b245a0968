import { setTimeout as sleep } from 'node:timers/promises';
import { usageOf } from '../machine/accounting.ts';
import { modulePath } from '../machine/modulePath.ts';
import { BenchProcess } from '../machine/processes.ts';
import { type GatewayOptions, type Server, type ServerName, startServer } from '../servers/servers.ts';
import { pinnedTo, type Site } from '../servers/site.ts';
import { type Figures, NO_FIGURES } from './measure.ts';

export const IDLE_CLIENTS = 10_000;
/** How long a gateway may rest before its memory is looked at. */
const REST_MS = 500;
const LOOK_EVERY_MS = 2;

/** A gateway that is ready, and how long that took from the start of the process to the first `/readyz` that says yes. */
export async function startGateway(
  site: Site,
  options?: GatewayOptions,
): Promise<{ readonly gateway: Server; readonly readyMs: number }> {
  const startedAtMs = performance.now();
  const gateway = await startOrThrow('gateway', site, options);
  while (!(await isReady(gateway))) await sleep(LOOK_EVERY_MS);
  return { gateway, readyMs: performance.now() - startedAtMs };
}

/** From its start until it is ready, and its memory a moment later. */
export async function measureStart(site: Site): Promise<Figures> {
  const { gateway, readyMs } = await startGateway(site);
  try {
    await sleep(REST_MS);
    return { ...NO_FIGURES, readyMs, rssMiB: usageOf(gateway.pid).rssBytes / 2 ** 20 };
  } finally {
    await gateway.stop();
  }
}

/** The memory of a server with 10,000 clients that have each asked once and keep their connection. */
export async function measureClients(site: Site, name: ServerName = 'gateway'): Promise<Figures> {
  const server = await startOrThrow(name, site);
  const clients = new BenchProcess({
    name: 'the idle clients',
    command: process.execPath,
    args: [modulePath('load/idleClients.ts'), `http://${server.address}/budgeting/api`, String(IDLE_CLIENTS)],
    env: { BENCH_TOKEN: site.token },
    core: pinnedTo(site.cores, 'others'),
  });
  try {
    const { answered, open } = JSON.parse(await clients.line());
    await sleep(REST_MS);
    if (answered !== IDLE_CLIENTS || open !== IDLE_CLIENTS) {
      throw new Error(`clients: ${answered} of ${IDLE_CLIENTS} were answered, ${open} kept their connection`);
    }
    return { ...NO_FIGURES, rssMiB: usageOf(server.pid).rssBytes / 2 ** 20 };
  } finally {
    await clients.stop();
    await server.stop();
  }
}

async function startOrThrow(name: ServerName, site: Site, options?: GatewayOptions): Promise<Server> {
  const server = await startServer(name, site, options);
  if (!server) throw new Error(`${name} is not installed`);
  return server;
}

async function isReady({ address }: Server): Promise<boolean> {
  const response = await fetch(`http://${address}/readyz`);
  await response.arrayBuffer();
  return response.status === 200;
}
