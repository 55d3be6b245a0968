import { expect, it } from '@jest/globals';
import { request, sendRaw } from '../../support/clients/rawClient.ts';
import { startGateway } from '../../support/gateway/gateway.ts';
import { expectNothingHeld } from '../../support/gateway/nothingHeld.ts';
import { expectProblem } from '../../support/gateway/problem.ts';
import { startUpstream } from '../../support/upstreams/upstream.ts';

// Three requests that cannot be forwarded opened the breaker of a healthy replica: any user could take a service
// away from all others.
it.each([
  ['two Hosts', 'GET /internal/up/x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n'],
  // Once also forwarded, decoded by nobody.
  [
    'a coding beside chunks',
    `${request('POST /internal/up/x', 'Transfer-Encoding: gzip, chunked')}0\r\n\r\n`,
  ],
  // Once answered after REQUEST_TIMEOUT only: the call was made after its request had been given up.
  ['a coding without chunks', request('POST /internal/up/x', 'Transfer-Encoding: gzip')],
  ['broken chunks', `${request('POST /internal/up/x', 'Transfer-Encoding: chunked')}xyz\r\n`],
])('%s opens no breaker', async (_what, bytes) => {
  await using upstream = await startUpstream();
  await using gateway = await startGateway({ services: { '/up': [upstream] } });
  for (let n = 0; n < 4; n += 1) await expectProblem(await sendRaw(gateway.internal, bytes), 'bad_request');
  await expectNothingHeld(gateway);
  expect(await gateway.metric('gateway_circuit_breaker_failures_total')).toBe(0);
  expect((await fetch(`${gateway.internal}/internal/up/x`)).status).toBe(200);
});
