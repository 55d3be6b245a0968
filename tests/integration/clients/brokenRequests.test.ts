import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { RawClient, request, sendRaw } from '../../support/clients/rawClient.ts';
import { eventually } from '../../support/eventually.ts';
import { keepSecret, startGateway, type TestGateway, tokenFor } from '../../support/gateway/gateway.ts';
import { expectProblem } from '../../support/gateway/problem.ts';
import { startUpstream, type Upstream } from '../../support/upstreams/upstream.ts';

const ADMIN_TOKEN = keepSecret('an-admin-token-that-is-long-enough-for-anybody');
const authorization = `Authorization: Bearer ${tokenFor('ann')}`;

describe.each(['external', 'internal'] as const)('bytes on the %s port', (port) => {
  const path = port === 'external' ? '/up/x' : '/internal/up/x';
  let upstream: Upstream;
  let test: TestGateway;

  beforeAll(async () => {
    upstream = await startUpstream((req, res) => {
      if (req.url === '/slow') res.write('begun');
      else res.end('ok');
    });
    test = await startGateway({ services: { '/up': [upstream] }, env: { ADMIN_TOKEN } });
  });
  afterAll(async () => {
    await test.stop();
    await upstream[Symbol.asyncDispose]();
  });

  it.each([
    ['no HTTP at all', 'hello\r\n\r\n'],
    ['a version that nobody speaks', `GET ${path} HTTP/9.9\r\nHost: h\r\n\r\n`],
    ['no Host', `GET ${path} HTTP/1.1\r\nConnection: close\r\n\r\n`],
    ['two Hosts', `GET ${path} HTTP/1.1\r\nHost: a\r\nHost: b\r\n${authorization}\r\n\r\n`],
    ['a field without a colon', `GET ${path} HTTP/1.1\r\nHost: h\r\nNonsense\r\n\r\n`],
    ['a byte beyond ASCII in its target', request(`GET ${path}/caf\xe9`, authorization)],
    ['a space before the colon', `GET ${path} HTTP/1.1\r\nHost: h\r\nX-A : b\r\n\r\n`],
    ['a control byte in a value', `GET ${path} HTTP/1.1\r\nHost: h\r\nX-A: \x01\r\n\r\n`],
    ['a folded field', `GET ${path} HTTP/1.1\r\nHost: h\r\nX-A: b\r\n c\r\n\r\n`],
    ['two lengths', request(`POST ${path}`, 'Content-Length: 1', 'Content-Length: 2')],
    ['a length that is no number', request(`POST ${path}`, 'Content-Length: 1x')],
    ['length and chunks', request(`POST ${path}`, 'Content-Length: 3', 'Transfer-Encoding: chunked')],
    ['a coding without chunks', request(`POST ${path}`, authorization, 'Transfer-Encoding: gzip')],
    ['a chunk of no size', `${request(`POST ${path}`, authorization, 'Transfer-Encoding: chunked')}xyz\r\n`],
    ['a coding beside chunks', request(`POST ${path}`, authorization, 'Transfer-Encoding: gzip, chunked')],
  ])('answers %s with 400', async (_what, bytes) => {
    await expectProblem(await sendRaw(test[port], bytes), 'bad_request');
  });

  // What the gateway answers itself was answered all the same, past every refusal.
  describe.each(['/healthz', '/readyz', '/metrics', '/admin/revocations', '/nowhere'])('%s', (own) => {
    it.each([
      ['two Hosts', 'Host: a\r\nHost: b\r\n'],
      ['two Hosts that agree', 'Host: a\r\nhost: a\r\n'],
      ['a Host that is two', 'Host: a, b\r\n'],
      ['no Host', ''],
    ])('answers %s with 400', async (_what, host) => {
      const authorized = `Authorization: Bearer ${ADMIN_TOKEN}`;
      await expectProblem(
        await sendRaw(test[port], `GET ${own} HTTP/1.1\r\n${host}${authorized}\r\n\r\n`),
        'bad_request',
      );
    });
  });

  it.each([
    ['FETCH', `FETCH ${path} HTTP/1.1\r\nHost: h\r\n\r\n`],
    ['a known one in lower case', `get ${path} HTTP/1.1\r\nHost: h\r\n\r\n`],
    ['a known one and more', `GETX ${path} HTTP/1.1\r\nHost: h\r\n\r\n`],
    ['one of RTSP', `DESCRIBE ${path} HTTP/1.1\r\nHost: h\r\n\r\n`],
    ['every mark that a token may have', `!#$%&'*+-.^_\`|~ ${path} HTTP/1.1\r\nHost: h\r\n\r\n`],
    ['one behind empty lines', `\r\n\r\nFETCH ${path} HTTP/1.0\r\n\r\n`],
  ])('answers a method that is not recognised (%s) with 501, and closes', async (_what, bytes) => {
    using client = await RawClient.to(test[port]);
    const before = upstream.requests.length;
    client.send(bytes + request(`GET ${path}`, authorization));
    await expectProblem(await client.answer(), 'method_not_implemented');
    await client.closed();
    expect(client.received.match(/HTTP\/1\.1 \d/g)).toHaveLength(1);
    expect(upstream.requests).toHaveLength(before);
  });

  it.each([
    ['a method that is no token', `FE:TCH ${path} HTTP/1.1\r\nHost: h\r\n\r\n`],
    ['a method in quotes', `"GET" ${path} HTTP/1.1\r\nHost: h\r\n\r\n`],
    ['an unknown method without a version', `FETCH ${path}\r\n\r\n`],
    ['an unknown method and two targets', `FETCH ${path} ${path} HTTP/1.1\r\nHost: h\r\n\r\n`],
    ['an unknown method of HTTP/9.9', `FETCH ${path} HTTP/9.9\r\nHost: h\r\n\r\n`],
    ['an unknown method behind a blank', ` FETCH ${path} HTTP/1.1\r\nHost: h\r\n\r\n`],
    ['a tab behind a known method', `GET\t${path} HTTP/1.1\r\nHost: h\r\n\r\n`],
    ['a protocol that nobody speaks', `GET ${path} ICE/1.0\r\nHost: h\r\n\r\n`],
  ])('answers %s with 400 all the same', async (_what, bytes) => {
    await expectProblem(await sendRaw(test[port], bytes), 'bad_request');
  });

  it('an unknown method behind a request that waits for its response gets none', async () => {
    using client = await RawClient.to(test[port]);
    const slow = port === 'external' ? '/up/slow' : '/internal/up/slow';
    client.send(request(`GET ${slow}`, authorization, 'Connection: keep-alive'));
    await eventually('the answer has begun', () => client.received.includes('begun'));
    client.send(`FETCH ${path} HTTP/1.1\r\nHost: h\r\n\r\n`);
    await client.closed();
    expect(client.received).not.toContain('501');
  });

  it('answers too many header bytes with 431', async () => {
    const answer = await sendRaw(test[port], request(`GET ${path}`, `X-Long: ${'x'.repeat(70_000)}`));
    await expectProblem(answer, 'headers_too_large');
  });

  it('closes the connection after it, also when the client keeps its half open', async () => {
    using client = await RawClient.to(test[port]);
    client.send('hello\r\n\r\n');
    await client.answer();
    expect(await client.closed()).toBe('ended');
    await eventually('the server takes nothing any more', () => {
      client.send('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
      return client.socket.destroyed;
    });
    expect(client.received.match(/HTTP\/1\.1/g)).toHaveLength(1);
  });

  it('never writes a refusal into a response that has begun', async () => {
    using client = await RawClient.to(test[port]);
    const slow = port === 'external' ? '/up/slow' : '/internal/up/slow';
    client.send(request(`GET ${slow}`, authorization, 'Connection: keep-alive'));
    await eventually('the answer has begun', () => client.received.includes('begun'));
    client.send('garbage\r\n\r\n');
    await client.closed();
    expect(client.received.match(/HTTP\/1\.1/g)).toHaveLength(1);
    expect((await client.answer()).whole).toBe(false);
  });

  it('counts and logs what never became a request', async () => {
    const before = await test.metric('gateway_errors_total', { port, code: 'bad_request', service: 'none' });
    const answer = await sendRaw(test[port], 'hello\r\n\r\n');
    expect(await test.metric('gateway_errors_total', { port, code: 'bad_request', service: 'none' })).toBe(
      before + 1,
    );
    const requestId = answer.field('X-Request-Id');
    const line = await eventually('its line', () =>
      test.logLines().find((found) => found.requestId === requestId),
    );
    expect(line).toMatchObject({ port, status: 400, code: 'bad_request' });
  });

  it('serves a request whose expectation it does not know', async () => {
    const answer = await sendRaw(test[port], request(`GET ${path}`, authorization, 'Expect: miracles'));
    expect(answer).toMatchObject({ status: 200, body: 'ok' });
  });

  it('serves HTTP/1.0, which needs no Host', async () => {
    const answer = await sendRaw(test[port], `GET ${path} HTTP/1.0\r\n${authorization}\r\n\r\n`);
    expect(answer).toMatchObject({ status: 200, body: 'ok', whole: true });
  });

  it('serves a request to upgrade to something that it does not know as if it did not ask', async () => {
    const answer = await sendRaw(
      test[port],
      request(`GET ${path}`, authorization, 'Connection: Upgrade, HTTP2-Settings, close', 'Upgrade: h2c'),
    );
    expect(answer).toMatchObject({ status: 200, body: 'ok' });
  });

  it('survives a client that connects and leaves', async () => {
    for (let n = 0; n < 5; n += 1) {
      const client = await RawClient.to(test[port]);
      client.send(`GET ${path} HT`);
      client.reset();
    }
    expect((await sendRaw(test[port], request(`GET ${path}`, authorization))).status).toBe(200);
  });
});

describe.each(['external', 'internal'] as const)('targets on the %s port', (port) => {
  const mount = port === 'external' ? '' : '/internal';
  let upstream: Upstream;
  let test: TestGateway;

  beforeAll(async () => {
    upstream = await startUpstream();
    test = await startGateway({ services: { '/up': [upstream] } });
  });
  afterAll(async () => {
    await test.stop();
    await upstream[Symbol.asyncDispose]();
  });

  it.each([
    '/up/../metrics',
    '/up/./x',
    '/up/%2e%2e/metrics',
    '/up/.%2E/x',
    '/up/..;/x',
    '/up/..%2fx',
    '/up\\..\\x',
    '/up/x%5cy',
    '/up/x%00y',
    '/up/x%0d%0aSet-Cookie:%20a=b',
  ])('%s is refused or belongs to nobody, and reaches no service', async (target) => {
    const before = upstream.requests.length;
    const answer = await sendRaw(test[port], request(`GET ${mount}${target}`, authorization));
    await expectProblem(answer, answer.status === 404 ? 'no_such_service' : 'bad_request');
    expect(upstream.requests).toHaveLength(before);
  });

  it.each([
    'http://other.test/up/x',
    'http://gateway.test:99999999/up/x',
    'http://[::1/up/x',
    'ftp://gateway.test/up/x',
    'http:///up/x',
  ])('%s names no service', async (target) => {
    const answer = await sendRaw(test[port], request(`OPTIONS ${target}`, authorization));
    expect([400, 404]).toContain(answer.status);
    await expectProblem(answer, answer.status === 404 ? 'no_such_service' : 'bad_request');
  });
});
