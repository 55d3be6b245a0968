import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { RawClient, sendRaw } from '../../support/clients/rawClient.ts';
import { eventually } from '../../support/eventually.ts';
import { startGateway, type TestGateway, tokenFor } from '../../support/gateway/gateway.ts';
import { expectProblem } from '../../support/gateway/problem.ts';
import { startUpstream, type Upstream } from '../../support/upstreams/upstream.ts';

const authorization = `Authorization: Bearer ${tokenFor('ann')}`;

describe.each(['external', 'internal'] as const)('on the %s port', (port) => {
  const path = port === 'external' ? '/up/x' : '/internal/up/x';
  let upstream: Upstream;
  let test: TestGateway;
  let before = 0;

  beforeAll(async () => {
    upstream = await startUpstream();
    test = await startGateway({ services: { '/up': [upstream] }, env: { GET_CACHE_TTL: 'off' } });
  });
  beforeEach(() => {
    before = upstream.requests.length;
  });
  afterAll(async () => {
    await test.stop();
    await upstream[Symbol.asyncDispose]();
  });

  // It was cut off without its answer, and a POST may have been carried out.
  it.each([
    ['HTTP/1.1', 'Connection: close'],
    ['HTTP/1.0', 'X: y'],
  ])(
    'a request that ends its connection (%s, %s) gets its response, whatever comes behind it',
    async (version, line) => {
      const evil = `GET ${path}?evil HTTP/1.1\r\nHost: h\r\n${authorization}\r\n\r\n`;
      using client = await RawClient.to(test[port]);
      const fields = ['Host: h', authorization, 'Content-Length: 2', line].join('\r\n');
      client.send(`POST ${path} ${version}\r\n${fields}\r\n\r\nhi${evil}`);
      await eventually('the request', () => upstream.requests.length > before);
      client.send(evil);
      expect(await client.answer('POST')).toMatchObject({ status: 200, body: 'ok', whole: true, rest: '' });
      await client.closed();
      expect(client.received.match(/HTTP\/1\.1 \d/g)).toHaveLength(1);
      expect(upstream.requests.slice(before).map(({ target }) => target)).toEqual(['/x']);
    },
  );

  // 2.0 needed no Host, and services were told of it in Via.
  it.each(['0.9', '2.0'])('HTTP/%s in a request line is refused', async (version) => {
    using client = await RawClient.to(test[port]);
    client.send(`GET ${path} HTTP/${version}\r\nHost: h\r\n${authorization}\r\n\r\n`);
    await expectProblem(await client.answer(), 'bad_request');
    await client.closed();
    expect(upstream.requests).toHaveLength(before);
  });

  // The refusal left the connection open.
  it.each([', chunked', 'chunked, chunked', 'gzip, chunked'])(
    'Transfer-Encoding: %s is refused, and its connection closed',
    async (coding) => {
      using client = await RawClient.to(test[port]);
      const fields = ['Host: h', authorization, `Transfer-Encoding: ${coding}`].join('\r\n');
      client.send(`POST ${path} HTTP/1.1\r\n${fields}\r\n\r\n2\r\nok\r\n0\r\n\r\n`);
      await expectProblem(await client.answer('POST'), 'bad_request');
      await client.closed();
      expect(upstream.requests).toHaveLength(before);
    },
  );

  // RFC 9110 section 7.8: it must be ignored.
  it('an Upgrade of HTTP/1.0 reaches no service', async () => {
    const upgrade = ['Host: h', authorization, 'Connection: Upgrade', 'Upgrade: websocket'].join('\r\n');
    const answer = await sendRaw(test[port], `GET ${path} HTTP/1.0\r\n${upgrade}\r\n\r\n`);
    expect(answer).toMatchObject({ status: 200, body: 'ok' });
    expect(upstream.requests.at(-1)?.fields.map((field) => field.toLowerCase())).not.toContain('upgrade');
  });
});
