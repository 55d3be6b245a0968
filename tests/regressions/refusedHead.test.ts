import { expect, it } from '@jest/globals';
import { startGateway } from '../support/gateway.ts';
import { expectProblem } from '../support/problem.ts';
import { request, sendRaw } from '../support/rawClient.ts';
import { says, startRawUpstream } from '../support/upstream.ts';

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
