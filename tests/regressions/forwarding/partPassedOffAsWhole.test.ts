import { expect, it } from '@jest/globals';
import { RawClient, request, sendRaw } from '../../support/clients/rawClient.ts';
import { startGateway } from '../../support/gateway/gateway.ts';
import { saysAndCloses, saysAndResets, startRawUpstream } from '../../support/upstreams/upstream.ts';

// undici takes a reset for the end of an answer that has neither length nor chunks.
it('a response without length that is reset is not whole', async () => {
  const part = 'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nbegun';
  await using upstream = await startRawUpstream(saysAndResets(part));
  await using test = await startGateway({ services: { '/up': [upstream] } });
  const answer = await sendRaw(test.internal, request('GET /internal/up/x'));
  expect(answer).toMatchObject({ status: 200, body: 'begun', whole: false });
});

// To HTTP/1.0 a closed connection is the end of the answer, so closing it said that this was all.
it('a response to HTTP/1.0 that is cut short ends in a reset', async () => {
  const part = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbegun\r\n';
  await using upstream = await startRawUpstream(saysAndCloses(part));
  await using test = await startGateway({ services: { '/up': [upstream] } });
  using client = await RawClient.to(test.internal);
  client.send('GET /internal/up/x HTTP/1.0\r\n\r\n');
  expect(await client.closed()).toBe('reset');
});
