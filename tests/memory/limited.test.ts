import { Agent, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { expect, it, jest } from '@jest/globals';
import { memoryGroup } from '../../bench/machine/memoryGroup.ts';
import { bearer, tokenFor } from '../support/gateway/gateway.ts';
import {
  type GatewayProcess,
  type GatewayProcessOptions,
  startGatewayProcess,
} from '../support/gateway/gatewayProcess.ts';
import { memoryOf } from '../support/processes/memoryOf.ts';
import { startUpstream } from '../support/upstreams/upstream.ts';

jest.setTimeout(300_000);

const MIB = 2 ** 20;
const LIMIT_BYTES = 128 * MIB;
const SERVICES = ['/s0', '/s1', '/s2'];
/** Of each service at a time: one caller's share of the default `PER_SERVICE_LIMIT`. */
const AT_A_TIME = 8;
/** More than a gateway of that memory takes. */
const CONNECTIONS = 1_500;

interface Crowd {
  readonly statuses: ReadonlySet<number>;
  /** The most that the gateway's own memory was. */
  readonly peakBytes: number;
}

/** Has a gateway with default settings cache thousands of responses of 1 MiB, then opens connections that stay. */
async function crowd(
  responses: number,
  options: Pick<GatewayProcessOptions, 'group' | 'env' | 'execArgv'>,
): Promise<Crowd> {
  const content = Buffer.alloc(MIB, 'x');
  await using upstream = await startUpstream((_req, res) => {
    res.writeHead(200, { 'Cache-Control': 'max-age=600', 'Content-Length': content.length }).end(content);
  });
  const services = Object.fromEntries(SERVICES.map((path) => [path, [upstream]]));
  await using gateway = await startGatewayProcess({ services, ...options });
  const agent = new Agent({ keepAlive: true });
  const headers = bearer(tokenFor('ann'));
  let peakBytes = 0;
  const get = (path: string) =>
    new Promise<number>((resolve, reject) => {
      request(gateway.external + path, { agent, headers }, (res) => {
        res.resume().once('end', () => resolve(res.statusCode ?? 0));
      })
        .once('error', reject)
        .end();
    });
  const statuses = new Set<number>();
  for (let n = 0; n < responses; n += AT_A_TIME * SERVICES.length) {
    const batch = Array.from({ length: AT_A_TIME }, (_, i) =>
      SERVICES.map((path) => get(`${path}/${n + i}`)),
    );
    for (const status of await Promise.all(batch.flat())) statuses.add(status);
    peakBytes = Math.max(peakBytes, memoryOf(gateway.pid, 'RssAnon'));
  }
  const sockets = await connections(gateway);
  statuses.add(await get('/s0/0'));
  peakBytes = Math.max(peakBytes, memoryOf(gateway.pid, 'RssAnon'));
  for (const socket of sockets) socket.destroy();
  agent.destroy();
  return { statuses, peakBytes };
}

/** Opens them one after another, each of which asks once; those that are closed again were too many. */
async function connections({ external }: GatewayProcess): Promise<Socket[]> {
  const { port, hostname } = new URL(external);
  const sockets: Socket[] = [];
  for (let n = 0; n < CONNECTIONS; n += 1) {
    await new Promise<void>((resolve) => {
      const socket = connect(Number(port), hostname, () => {
        socket.write('GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n');
      });
      socket
        .on('error', () => {})
        .once('data', () => resolve())
        .once('close', () => resolve());
      sockets.push(socket);
    });
  }
  return sockets;
}

const group = memoryGroup(LIMIT_BYTES);
const groupOfWorkers = memoryGroup(2 * LIMIT_BYTES);

(group ? it : it.skip)(
  'a gateway with defaults in a control group of 128 MiB is not killed by 1,500 responses of 1 MiB',
  async () => {
    await using limited = group as NonNullable<typeof group>;
    const { statuses } = await crowd(1_500, { group: limited });
    expect([...statuses]).toEqual([200]);
    expect(limited.peakBytes()).toBeLessThan(LIMIT_BYTES);
  },
);

// Before each thread collected what it shares with the others, it was killed.
(groupOfWorkers ? it : it.skip)(
  'a gateway with WORKERS=2 in a control group of 256 MiB is not killed by 1,000 responses of 1 MiB',
  async () => {
    await using limited = groupOfWorkers as NonNullable<typeof groupOfWorkers>;
    const { peakBytes } = await crowd(1_000, {
      group: limited,
      env: { WORKERS: '2', MALLOC_ARENA_MAX: '2', REQUEST_TIMEOUT: '1m' },
    });
    expect(peakBytes).toBeLessThan(2 * LIMIT_BYTES);
  },
);

it('a gateway with MEMORY_LIMIT=128MiB takes no more for 500 responses of 1 MiB', async () => {
  const { statuses, peakBytes } = await crowd(500, {
    env: { MEMORY_LIMIT: '128MiB' },
    // What its log says to set.
    execArgv: ['--max-old-space-size=57'],
  });
  expect([...statuses]).toEqual([200]);
  expect(peakBytes).toBeLessThan(LIMIT_BYTES);
});
