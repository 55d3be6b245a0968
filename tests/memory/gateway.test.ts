import { Agent, request } from 'node:http';
import { expect, it, jest } from '@jest/globals';
import { bearer, tokenFor } from '../support/gateway/gateway.ts';
import { startGatewayProcess } from '../support/gateway/gatewayProcess.ts';
import { startUpstream } from '../support/upstreams/upstream.ts';

jest.setTimeout(120_000);

const HEAP_MIB = 96;
const REQUESTS = 12_000;
const AT_A_TIME = 16;
const SERVICES = 10;
/** The longest target that is accepted has 8,192 characters: as many MiB as the heap has, and no room for anything else. */
const QUERY = 'q'.repeat(8_000);

it('a gateway of 96 MiB of heap survives 12,000 targets of 8 KiB whose responses are not to be stored', async () => {
  await using upstream = await startUpstream((_req, res) => {
    res.writeHead(200, { 'Cache-Control': 'no-store', 'Content-Length': 2 }).end('ok');
  });
  const paths = Array.from({ length: SERVICES }, (_, n) => `/s${n}`);
  const services = Object.fromEntries(paths.map((path) => [path, [upstream]]));
  await using gateway = await startGatewayProcess({
    services,
    env: { PER_SERVICE_LIMIT: '100', GLOBAL_CONCURRENCY: '200' },
    execArgv: [`--max-old-space-size=${HEAP_MIB}`],
  });
  const agent = new Agent({ keepAlive: true, maxSockets: AT_A_TIME });
  const headers = bearer(tokenFor('mallory'));
  const get = (path: string) =>
    new Promise<number>((resolve, reject) => {
      request(gateway.external + path, { agent, headers }, (res) => {
        res.resume().once('end', () => resolve(res.statusCode ?? 0));
      })
        .once('error', reject)
        .end();
    });
  const statuses = new Set<number>();
  for (let n = 0; n < REQUESTS; n += AT_A_TIME) {
    const batch = Array.from({ length: AT_A_TIME }, (_, i) =>
      get(`/s${(n + i) % SERVICES}/${n + i}?${QUERY}`),
    );
    for (const status of await Promise.all(batch)) statuses.add(status);
  }
  agent.destroy();
  expect([...statuses]).toEqual([200]);
  expect(await get(`/s0/still/there`)).toBe(200);
});
