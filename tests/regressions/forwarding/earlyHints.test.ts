import { expect, it } from '@jest/globals';
import { request, sendRaw } from '../../support/clients/rawClient.ts';
import { startGateway } from '../../support/gateway/gateway.ts';
import { says, startRawUpstream } from '../../support/upstreams/upstream.ts';

// Node throws on a Link that it cannot read, and that became a 502 for an answer that was good.
it('hints that Node refuses cost the client nothing but the hints', async () => {
  const hints = 'HTTP/1.1 103 Early Hints\r\nLink: nonsense\r\n\r\n';
  await using upstream = await startRawUpstream(
    says(`${hints}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok`),
  );
  await using test = await startGateway({ services: { '/up': [upstream] } });
  const answer = await sendRaw(test.internal, request('GET /internal/up/x'));
  expect(answer).toMatchObject({ status: 200, body: 'ok', whole: true });
});
