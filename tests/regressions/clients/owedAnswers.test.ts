import { expect, it } from '@jest/globals';
import { RawClient, request } from '../../support/clients/rawClient.ts';
import { eventually } from '../../support/eventually.ts';
import { startGateway } from '../../support/gateway/gateway.ts';
import { runGateway } from '../../support/gateway/gatewayRun.ts';
import { startUpstream } from '../../support/upstreams/upstream.ts';

const UPGRADE = ['Connection: Upgrade', 'Upgrade: websocket'];
const LOGIN = request('POST /userManagement/auth/login', 'Content-Length: 0');

// A response that is still owed holds the socket: giving it to the one of the upgrade threw, and ended the process.
it('a request to upgrade behind another one does not end the process', async () => {
  await using upstream = await startUpstream();
  await using run = runGateway({ services: { '/up': [upstream] } });
  const { external } = await run.listening();
  using client = await RawClient.to(external);
  client.send(request('GET /healthz') + request('GET /up/x', ...UPGRADE));
  await client.closed();
  expect((await fetch(`${external}/healthz`)).status).toBe(200);
  expect(run.stderr()).toBe('');
}, 30_000);

// Node forgets the answers that are owed on a connection which leaves HTTP: their permits never came back.
it.each([
  ['CONNECT', request('CONNECT a:1')],
  ['upgrade', request('GET /userManagement/x', ...UPGRADE)],
])('%s behind other requests gives their permits back', async (_what, last) => {
  await using upstream = await startUpstream(() => {});
  await using gateway = await startGateway({ services: { '/userManagement': [upstream.url.origin] } });
  // Each connection is read for a second after its refusal: together they take as long as one.
  const clients = await Promise.all(Array.from({ length: 12 }, () => RawClient.to(gateway.external)));
  for (const client of clients) client.send(LOGIN + LOGIN + last);
  await Promise.all(clients.map((client) => client.closed()));
  expect(upstream.requests.length).toBeGreaterThan(0);
  await eventually('every permit is back', async () => {
    const metrics = await (await fetch(`${gateway.internal}/metrics`)).text();
    return metrics.includes('gateway_concurrent_requests{service="/userManagement"} 0');
  });
});
