import { expect, it } from '@jest/globals';
import { request, sendRaw } from '../../support/clients/rawClient.ts';
import { startGateway } from '../../support/gateway/gateway.ts';
import { expectProblem } from '../../support/gateway/problem.ts';
import { says, startRawUpstream } from '../../support/upstreams/upstream.ts';

// Node keeps the reason of a head that it then refuses to send: the gateway's own reply failed for the same reason,
// and the client got a page of HTML from Express.
it('a reason that Node refuses leaves nothing in the reply', async () => {
  const head = 'HTTP/1.1 200 O\x01K\r\nSet-Cookie: a=b\r\nContent-Length: 2\r\n\r\n';
  await using upstream = await startRawUpstream(says(`${head}ok`));
  await using test = await startGateway({ services: { '/up': [upstream] } });
  const answer = await sendRaw(test.internal, request('GET /internal/up/x'));
  await expectProblem(answer, 'upstream_bad_response');
  expect(answer.reason).toBe('Bad Gateway');
  expect(answer.field('Set-Cookie')).toBeUndefined();
});
