import { expect, it } from '@jest/globals';
import { RawClient, request, sendRaw } from '../../support/clients/rawClient.ts';
import { runGateway } from '../../support/gateway/gatewayRun.ts';
import { startUpstream } from '../../support/upstreams/upstream.ts';

// Node hands over a stream, not the socket, when a request to upgrade has content that has not arrived yet. The
// gateway took it for a socket, and the TypeError ended the process: one request by anybody was enough.
it('a request to upgrade that has content does not end the process', async () => {
  await using upstream = await startUpstream();
  await using run = runGateway({ services: { '/up': [upstream] } });
  const { external, internal } = await run.listening();
  const upgrading = ['Connection: Upgrade', 'Upgrade: websocket'];
  for (const framing of ['Content-Length: 3', 'Transfer-Encoding: chunked']) {
    using client = await RawClient.to(external);
    client.send(request('GET /up/x', framing, ...upgrading));
    expect((await client.answer()).status).toBe(401);
  }
  const whole = `${request('GET /internal/up/x', 'Content-Length: 3', 'Upgrade: websocket', 'Connection: Upgrade, close')}abc`;
  expect(await sendRaw(internal, whole)).toMatchObject({ status: 200, body: 'ok' });
  expect((await fetch(`${external}/healthz`)).status).toBe(200);
  expect(run.stderr()).toBe('');
}, 30_000);
