import { expect, it } from '@jest/globals';
import { request, sendRaw } from '../../support/clients/rawClient.ts';
import { startGateway } from '../../support/gateway/gateway.ts';
import { expectProblem } from '../../support/gateway/problem.ts';
import { says, startRawUpstream } from '../../support/upstreams/upstream.ts';

const answer = (coding: string) =>
  says(`HTTP/1.1 200 OK\r\nTransfer-Encoding: ${coding}\r\n\r\n2\r\nok\r\n0\r\n\r\n`);

// Its chunks were undone and its coding was not, nor named any more: the client took compressed bytes for content.
it('a response with a transfer coding that nobody undoes is not passed on as if it had none', async () => {
  await using coded = await startRawUpstream(answer('gzip, chunked'));
  await using plain = await startRawUpstream(answer('Chunked'));
  await using gateway = await startGateway({ services: { '/coded': [coded], '/plain': [plain] } });
  const refused = await sendRaw(gateway.internal, request('GET /internal/coded/x'));
  await expectProblem(refused, 'upstream_bad_response');
  expect(await sendRaw(gateway.internal, request('GET /internal/plain/x'))).toMatchObject({ body: 'ok' });
});
