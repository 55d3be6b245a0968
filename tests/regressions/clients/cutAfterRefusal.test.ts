import { expect, it } from '@jest/globals';
import { RawClient, request } from '../../support/clients/rawClient.ts';
import { eventually } from '../../support/eventually.ts';
import { startGateway, tokenFor } from '../../support/gateway/gateway.ts';
import { startUpstream } from '../../support/upstreams/upstream.ts';

const KEEP_ALIVE = 'Connection: keep-alive';
const REFUSED = request('POST /up/x', KEEP_ALIVE, 'Content-Length: 1');
const ALLOWED = request('GET /up/slow', KEEP_ALIVE, `Authorization: Bearer ${tokenFor('ann')}`);

// Content that comes behind a refusal may be read for five seconds. When it had come whole, the connection was cut all
// the same once they were over, along with whatever was asked on it by then.
it('a connection goes on after a refusal whose content came late', async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  await using upstream = await startUpstream(async (_req, res) => {
    await promise;
    res.end('after all');
  });
  await using test = await startGateway({ services: { '/up': [upstream] }, env: { REQUEST_TIMEOUT: '20s' } });
  using client = await RawClient.to(test.external);
  client.send(REFUSED);
  expect((await client.answer('POST')).status).toBe(401);
  // The content, and the next request.
  client.send(`x${ALLOWED}`);
  await eventually('the request', () => upstream.requests.length === 1);
  using endless = await RawClient.to(test.external);
  endless.send(REFUSED);
  await eventually('the end of one that never sends its content', () => endless.ending, 20_000);
  resolve();
  await eventually('the answer', () => client.ending ?? client.received.includes('after all'));
  expect(client.received).toContain('after all');
}, 40_000);
