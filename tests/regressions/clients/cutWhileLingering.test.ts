import { expect, it } from '@jest/globals';
import { RawClient } from '../../support/clients/rawClient.ts';
import { eventually } from '../../support/eventually.ts';
import { startGateway, tokenFor } from '../../support/gateway/gateway.ts';
import { startUpstream } from '../../support/upstreams/upstream.ts';

/** Longer than the gateway reads content that nobody wants. */
const LONG_ENOUGH_MS = 6_000;

// Whatever a connection carried five seconds after a refusal whose content came late was cut: found by the soak.
it('a connection whose client was refused before it had sent its content goes on for as long as it likes', async () => {
  await using upstream = await startUpstream();
  await using test = await startGateway({ services: { '/up': [upstream] } });
  using client = await RawClient.to(test.external);
  client.send('POST /up/x HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n');
  expect((await client.answer('POST')).status).toBe(401);
  const refusedAtMs = performance.now();
  client.send('hello');
  const fields = ['Host: h', `Authorization: Bearer ${tokenFor('ann')}`, 'Cache-Control: no-store'].join(
    '\r\n',
  );
  let answers = 0;
  // Always under way with the next one, as a busy client is.
  while (performance.now() - refusedAtMs < LONG_ENOUGH_MS) {
    client.send(`GET /up/x HTTP/1.1\r\n${fields}\r\n\r\n`);
    answers += 1;
    await eventually(`answer ${answers}`, () => client.received.match(/HTTP\/1\.1 200/g)?.length === answers);
  }
  expect(client.ending).toBeUndefined();
}, 30_000);
