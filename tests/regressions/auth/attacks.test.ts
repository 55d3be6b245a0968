import { describe, expect, it } from '@jest/globals';
import { fieldValue } from '../../../lib/http/fields.ts';
import { RawClient } from '../../support/clients/rawClient.ts';
import { eventually } from '../../support/eventually.ts';
import { startGateway, tokenFor } from '../../support/gateway/gateway.ts';
import { ManualClock } from '../../support/manualClock.ts';
import { hangs, startRawUpstream, startUpstream } from '../../support/upstreams/upstream.ts';

describe('two subjects', () => {
  // Whoever may choose a name could be somebody else to a service.
  it.each([
    ['é', '%C3%A9'],
    [' a', '%20a'],
  ])('%j and %j are two to a service', async (one, other) => {
    await using upstream = await startUpstream();
    await using gateway = await startGateway({ services: { '/up': [upstream.url.origin] } });
    for (const subject of [one, other]) {
      const headers = { Authorization: `Bearer ${tokenFor(subject)}` };
      await (await fetch(`${gateway.external}/up/x`, { headers })).text();
    }
    const seen = upstream.requests.map(({ fields }) => fieldValue(fields, 'x-auth-subject'));
    expect(new Set(seen).size).toBe(2);
  });
});

// Three calls with a deadline of one millisecond took a service away from everybody.
it('a short deadline of the caller does not count against the replica', async () => {
  const clock = new ManualClock();
  await using upstream = await startRawUpstream(hangs);
  await using gateway = await startGateway({ services: { '/up': [upstream.url.origin] }, clock });
  for (let call = 1; call <= 3; call += 1) {
    const headers = { 'X-Request-Timeout-Ms': '5' };
    const answer = fetch(`${gateway.internal}/internal/up/x`, { headers });
    await eventually('the request at the service', () => upstream.requests.length === call);
    clock.advance(5);
    expect((await answer).status).toBe(504);
  }
  expect(await gateway.metric('gateway_circuit_breaker_failures_total')).toBe(0);
});

// Its framing is faulty (RFC 9112 section 6.1): the rest was read as a request of its own.
it('a transfer coding before HTTP/1.1 is refused, and nothing behind it is read', async () => {
  await using upstream = await startUpstream();
  await using gateway = await startGateway({ services: { '/up': [upstream.url.origin] } });
  using client = await RawClient.to(gateway.internal);
  const head =
    'POST /internal/up/x HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n';
  client.send(`${head}0\r\n\r\nGET /internal/up/smuggled HTTP/1.1\r\nHost: x\r\n\r\n`);
  expect((await client.answer('POST')).status).toBe(400);
  await client.closed();
  expect(upstream.requests).toEqual([]);
});
