import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { describe, expect, it } from '@jest/globals';
import { RawClient, request, sendRaw } from '../../support/clients/rawClient.ts';
import { startGateway, tokenFor } from '../../support/gateway/gateway.ts';
import { PORTS } from '../../support/gateway/gatewayProcess.ts';
import { says, startRawUpstream } from '../../support/upstreams/upstream.ts';

const authorization = `Authorization: Bearer ${tokenFor('ann')}`;

/** A service that keeps every byte it is sent, and says `ok` at the end of the chunks. */
async function startByteOrigin() {
  let bytes = '';
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      bytes += chunk.toString('latin1');
      if (bytes.endsWith('\r\n0\r\n\r\n')) socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`),
    get bytes() {
      return bytes;
    },
    async [Symbol.asyncDispose]() {
      server.close();
      await once(server, 'close');
    },
  };
}

describe.each(PORTS)('on the %s port', (port) => {
  const path = port === 'external' ? '/up/x' : '/internal/up/x';

  it.each([
    ['a trailer that was announced', ['Trailer: X-Sum', 'TE: trailers', 'Connection: TE'], ['X-Sum: 1']],
    ['one that was not', [], ['X-Sum: 1']],
    ['one that only the gateway may say', [], ['X-Auth-Subject: root', 'X-Forwarded-For: 6.6.6.6']],
    ['one that belongs into a head', [], ['Host: evil', 'Expect: evil']],
    ['one that looks like a request', [], ['X: GET /evil HTTP/1.1']],
    ['an empty one', ['Trailer:'], []],
  ])(
    'of a request stays here: %s; the content arrives whole, and nothing besides',
    async (_what, lines, trailers) => {
      await using origin = await startByteOrigin();
      await using test = await startGateway({ services: { '/up': [origin] } });
      const head = request(`POST ${path}`, authorization, 'Transfer-Encoding: chunked', ...lines);
      const section = trailers.map((line) => `${line}\r\n`).join('');
      using client = await RawClient.to(test[port]);
      client.send(`${head}6\r\nfirst \r\n4\r\nlast\r\n0\r\n${section}\r\n`);
      expect((await client.answer('POST')).status).toBe(200);
      const [headBytes = '', ...content] = origin.bytes.split('\r\n\r\n');
      expect(contentOf(content.join('\r\n\r\n'))).toBe('first last');
      expect(headBytes).not.toMatch(/^(te|trailer|x-sum):/im);
      expect(origin.bytes).not.toMatch(/root|6\.6\.6\.6|evil/);
      expect(headBytes.match(/^\w+ \S+ HTTP\/1\.1$/gm)).toEqual(['POST /x HTTP/1.1']);
    },
  );

  it('those of a response reach the client, through the whole chain, behind all of its content', async () => {
    const chunks = '5\r\nhello\r\n0\r\nX-Sum: 1\r\nX-Dup: a\r\nx-dup: b\r\n\r\n';
    await using upstream = await startRawUpstream(
      says(`HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}`),
    );
    await using test = await startGateway({ services: { '/up': [upstream] } });
    const answer = await sendRaw(test[port], request(`GET ${path}`, authorization, 'TE: trailers'));
    expect(answer).toMatchObject({ status: 200, body: 'hello', whole: true, rest: '' });
    expect(answer.trailers).toEqual([
      ['X-Sum', '1'],
      ['X-Dup', 'a'],
      ['x-dup', 'b'],
    ]);
  });

  it('those of a response are left out for an HTTP/1.0 client, who could not tell them from content', async () => {
    await using upstream = await startRawUpstream(
      says('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n'),
    );
    await using test = await startGateway({ services: { '/up': [upstream] } });
    const answer = await sendRaw(test[port], `GET ${path} HTTP/1.0\r\n${authorization}\r\n\r\n`);
    expect(answer).toMatchObject({ status: 200, body: 'hello', whole: true });
  });
});

/** The content of chunks that end the bytes. */
function contentOf(bytes: string): string {
  let content = '';
  for (let at = 0; at < bytes.length; ) {
    const lineEnd = bytes.indexOf('\r\n', at);
    const size = Number.parseInt(bytes.slice(at, lineEnd), 16);
    content += bytes.slice(lineEnd + 2, lineEnd + 2 + size);
    at = lineEnd + 2 + size + 2;
  }
  return content;
}
