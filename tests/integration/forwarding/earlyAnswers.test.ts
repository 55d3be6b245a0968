import { once } from 'node:events';
import { describe, expect, it } from '@jest/globals';
import { RawClient, request } from '../../support/clients/rawClient.ts';
import { eventually } from '../../support/eventually.ts';
import { startGateway, tokenFor } from '../../support/gateway/gateway.ts';
import { PORTS } from '../../support/gateway/gatewayProcess.ts';
import { expectNothingHeld } from '../../support/gateway/nothingHeld.ts';
import {
  type RawBehaviour,
  says,
  saysAndCloses,
  startRawUpstream,
} from '../../support/upstreams/upstream.ts';

const authorization = `Authorization: Bearer ${tokenFor('ann')}`;
/** More than the buffers on the way hold. */
const UPLOAD_BYTES = 32 * 2 ** 20;
const PIECE = 'x'.repeat(2 ** 20);

const EARLY = 'HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig';
const WAYS: readonly (readonly [how: string, service: RawBehaviour])[] = [
  ['and keeps the connection', says(EARLY)],
  ['and closes it', saysAndCloses(EARLY)],
  ['in chunks', says('HTTP/1.1 413 No\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nbig\r\n0\r\n\r\n')],
];

/** Sends so many bytes, as fast as they are taken. */
async function upload({ socket }: RawClient, bytes: number): Promise<void> {
  for (let sent = 0; sent < bytes; sent += PIECE.length) {
    if (!socket.write(PIECE)) await once(socket, 'drain');
  }
}

describe.each(PORTS)('an upload to the %s port that a service answers', (port) => {
  const path = port === 'external' ? '/up/x' : '/internal/up/x';

  it.each(WAYS)(
    'before it has read it, %s, gets that answer, and its connection goes on',
    async (_how, service) => {
      await using upstream = await startRawUpstream((socket, head) => {
        if (head.startsWith('POST ')) service(socket, head);
        if (head.startsWith('GET ')) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext');
      });
      await using test = await startGateway({ services: { '/up': [upstream] } });
      using client = await RawClient.to(test[port]);
      client.send(
        request(`POST ${path}`, authorization, `Content-Length: ${UPLOAD_BYTES}`, 'Connection: keep-alive'),
      );
      await upload(client, UPLOAD_BYTES / 2);
      // The other half is still to come.
      expect(await client.answer('POST')).toMatchObject({ status: 413, body: 'big', whole: true, rest: '' });
      await upload(client, UPLOAD_BYTES / 2);
      client.send(request(`GET ${path}`, authorization));
      await eventually('the next answer', () => client.received.endsWith('next'));
      expect(client.received.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 413', 'HTTP/1.1 200']);
      expect(
        upstream.requests.map(({ method }) => method).filter((method) => /^[A-Z]+$/.test(method)),
      ).toEqual(['POST', 'GET']);
      await expectNothingHeld(test);
    },
  );
});
