import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import {
  credentials,
  type GatewayProcess,
  PORTS,
  startGatewayProcess,
} from '../support/gateway/gatewayProcess.ts';
import { ensureCommand, INSTALLS_WITHIN_MS, run } from '../support/processes/command.ts';
import { startUpstream } from '../support/upstreams/upstream.ts';

const REQUESTS = 1_000;
const CONNECTIONS = 20;
const FORM = 'name=value&other='.padEnd(5_000, 'x');
/** wrk sends this many requests at once over each connection. */
const PIPELINED = 8;

/** With its length: an HTTP/1.0 client such as ab can keep a connection only when it is told. */
const answer: RequestListener = (_req, res) => {
  const body = '{"transactions":[]}';
  res.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': body.length }).end(body);
};

jest.setTimeout(60_000);

const stack = new AsyncDisposableStack();
let gateway: GatewayProcess;
let directory: string;

beforeAll(async () => {
  ensureCommand('ab', 'apache2-utils');
  ensureCommand('wrk', 'wrk');
  directory = mkdtempSync(join(tmpdir(), 'gateway-load-'));
  stack.defer(() => rmSync(directory, { recursive: true }));
  const service = stack.use(await startUpstream(answer));
  gateway = stack.use(
    await startGatewayProcess({
      services: { '/budgeting': [service] },
      // Every request goes to the service, and none is refused, however busy the machine is.
      env: {
        GET_CACHE_TTL: 'off',
        GLOBAL_CONCURRENCY: '1000',
        PER_SERVICE_LIMIT: '1000',
        REQUEST_TIMEOUT: '60s',
      },
    }),
  );
}, INSTALLS_WITHIN_MS);

afterAll(() => stack.disposeAsync());

describe.each(PORTS)('load on the %s port', (port) => {
  const fields = Object.entries(credentials(port)).flatMap(([name, value]) => ['-H', `${name}: ${value}`]);
  const url = () => gateway.url(port, '/budgeting/transactions');

  async function ab(...args: readonly string[]): Promise<string> {
    const load = ['-q', '-n', String(REQUESTS), '-c', String(CONNECTIONS)];
    return (await run('ab', [...load, ...fields, ...args, url()])).stdout.toString();
  }

  async function wrk(...args: readonly string[]): Promise<string> {
    const load = ['-t', '2', '-c', String(CONNECTIONS), '-d', '1s'];
    return (await run('wrk', [...load, ...fields, ...args, url()])).stdout.toString();
  }

  it('ab, a connection for each request', async () => {
    expectFaultless(await ab());
  });

  it('ab, connections kept alive', async () => {
    const report = await ab('-k');
    expectFaultless(report);
    expect(numberIn(report, 'Keep-Alive requests')).toBe(REQUESTS);
  });

  it('ab, posting', async () => {
    const form = join(directory, port);
    writeFileSync(form, FORM);
    expectFaultless(await ab('-k', '-p', form, '-T', 'application/x-www-form-urlencoded'));
  });

  it('wrk', async () => {
    expectNoErrors(await wrk());
  });

  it('wrk, pipelining', async () => {
    const script = join(directory, `${port}.lua`);
    writeFileSync(script, PIPELINING);
    expectNoErrors(await wrk('-s', script));
  });
});

/** What ab prints of one run in which nothing went wrong. */
function expectFaultless(report: string): void {
  expect(numberIn(report, 'Complete requests')).toBe(REQUESTS);
  expect(numberIn(report, 'Failed requests')).toBe(0);
  // ab prints these only when there are any.
  expect(report).not.toMatch(/Non-2xx responses|Write errors/);
}

function expectNoErrors(report: string): void {
  expect(numberIn(report, 'Requests/sec')).toBeGreaterThan(0);
  // wrk prints these only when there are any.
  expect(report).not.toMatch(/Socket errors|Non-2xx/);
}

function numberIn(report: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s+([\\d.]+)`, 'm').exec(report)?.[1]);
}

const PIPELINING = `
init = function(args)
  local requests = {}
  for i = 1, ${PIPELINED} do requests[i] = wrk.format() end
  pipeline = table.concat(requests)
end
request = function() return pipeline end
`;
