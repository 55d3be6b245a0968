import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { fieldValues } from '../../../lib/http/fields.ts';
import { RawClient, request, sendRaw } from '../../support/clients/rawClient.ts';
import { eventually } from '../../support/eventually.ts';
import { startGateway, type TestGateway, tokenFor } from '../../support/gateway/gateway.ts';
import { expectProblem } from '../../support/gateway/problem.ts';
import {
  type Received,
  says,
  startRawUpstream,
  startUpstream,
  type Upstream,
} from '../../support/upstreams/upstream.ts';

const authorization = `Authorization: Bearer ${tokenFor('ann')}`;
const ALLOW = 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS';

describe.each(['external', 'internal'] as const)('what an intermediary owes on the %s port:', (port) => {
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

  /** What the service gets of a request with these field lines, and nothing besides. */
  async function received(method: string, ...lines: readonly string[]): Promise<Received> {
    const answer = await sendRaw(test[port], request(`${method} ${path}`, authorization, ...lines));
    expect(answer.status).toBe(200);
    expect(upstream.requests).toHaveLength(before + 1);
    return upstream.requests.at(-1) as Received;
  }

  it('Via names the gateway behind those the request went through before', async () => {
    const { fields } = await received('GET', 'Via: 1.0 fred, 1.1 p.example');
    expect(fieldValues(fields, 'via')).toEqual(['1.0 fred, 1.1 p.example', '1.1 faf-cab-gateway']);
  });

  it('Via tells the version that the client speaks', async () => {
    await sendRaw(test[port], `GET ${path} HTTP/1.0\r\n${authorization}\r\n\r\n`);
    expect(fieldValues(upstream.requests.at(-1)?.fields ?? [], 'via')).toEqual(['1.0 faf-cab-gateway']);
  });

  it('Via cannot be removed by Connection', async () => {
    const { fields } = await received('GET', 'Connection: Via, close', 'Via: 1.1 evil');
    expect(fieldValues(fields, 'via')).toEqual(['1.1 faf-cab-gateway']);
  });

  it.each([
    ['OPTIONS', '3', '2'],
    ['OPTIONS', '1', '0'],
    ['OPTIONS', 'many', 'many'],
    ['GET', '3', '3'],
    ['GET', '0', '0'],
  ])('%s with Max-Forwards: %s goes on with %s', async (method, sent, arrived) => {
    const { fields } = await received(method, `Max-Forwards: ${sent}`);
    expect(fieldValues(fields, 'max-forwards')).toEqual([arrived]);
  });

  it.each([
    ['OPTIONS *', request('OPTIONS *')],
    ['OPTIONS with Max-Forwards: 0', request(`OPTIONS ${path}`, authorization, 'Max-Forwards: 0')],
  ])('%s is answered by the gateway', async (_what, bytes) => {
    const answer = await sendRaw(test[port], bytes);
    expect(answer).toMatchObject({ status: 200, body: '', whole: true });
    expect(answer.field('Allow')).toBe(ALLOW);
    expect(upstream.requests).toHaveLength(before);
  });

  it.each([
    ['TRACE', request(`TRACE ${path}`, authorization)],
    ['CONNECT', 'CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n'],
    ['CONNECT to a service', `CONNECT ${path} HTTP/1.1\r\nHost: h\r\n${authorization}\r\n\r\n`],
  ])('%s is refused with 405', async (_what, bytes) => {
    using client = await RawClient.to(test[port]);
    client.send(bytes);
    const answer = await client.answer();
    await expectProblem(answer, 'method_not_allowed');
    expect(answer.field('Allow')).toBe(ALLOW);
    await client.closed();
    expect(upstream.requests).toHaveLength(before);
  });

  it.each(['PROPFIND', 'REPORT', 'PURGE', 'MKCOL', 'SEARCH', 'LINK', 'QUERY'])(
    '%s is forwarded',
    async (method) => {
      expect((await received(method)).method).toBe(method);
    },
  );

  it.each([
    '?',
    '?a=b&a=c',
    '?%zz',
    '?a=%2e%2e/',
    '?x=a?b',
    "?!$'()*,;:@/?",
    '?a=\\',
    '?/../x',
    '?q=%00%0d%0a',
  ])('the query %s travels byte for byte', async (query) => {
    await sendRaw(test[port], request(`GET ${path}${query}`, authorization));
    expect(upstream.requests.at(-1)?.target).toBe(`/x${query}`);
  });

  it('pipelined requests are answered in order, each once', async () => {
    using client = await RawClient.to(test[port]);
    const one = (n: number, ...lines: string[]) =>
      `GET ${path}?n=${n} HTTP/1.1\r\nHost: h\r\nCache-Control: no-store\r\n${[authorization, ...lines].join('\r\n')}\r\n\r\n`;
    client.send(one(1) + one(2) + one(3, 'Connection: close'));
    await client.closed();
    expect(client.received.match(/HTTP\/1\.1 200 /g)).toHaveLength(3);
    expect(upstream.requests).toHaveLength(before + 3);
  });

  it('pipelined requests are carried out one after the other when one of them may change something', async () => {
    const { promise: go, resolve } = Promise.withResolvers<void>();
    await using service = await startUpstream(async ({ method }, res) => {
      if (method === 'PUT') await go;
      res.end(method);
    });
    await using own = await startGateway({ services: { '/up': [service] } });
    using client = await RawClient.to(own[port]);
    const put = request(`PUT ${path}`, authorization, 'Content-Length: 2', 'Connection: keep-alive');
    client.send(`${put}hi${request(`GET ${path}`, authorization)}`);
    await eventually('the first', () => service.requests.length > 0);
    // Another client's request overtakes the one that waits for its turn.
    await sendRaw(own[port], request(`DELETE ${path}`, authorization));
    expect(service.requests.map(({ method }) => method)).toEqual(['PUT', 'DELETE']);
    resolve();
    await client.closed();
    expect(client.received.match(/(PUT|GET)$|PUT(?=HTTP)/gm)).toEqual(['PUT', 'GET']);
    expect(service.requests.map(({ method }) => method)).toEqual(['PUT', 'DELETE', 'GET']);
  });

  it('100 Continue is sent when the content is wanted', async () => {
    using client = await RawClient.to(test[port]);
    client.send(
      request(
        `POST ${path}`,
        authorization,
        'Expect: 100-continue',
        'Content-Length: 2',
        'Connection: keep-alive',
      ),
    );
    await eventually('100', () => client.received === 'HTTP/1.1 100 Continue\r\n\r\n');
    client.send('ok');
    expect(await client.answer()).toMatchObject({ status: 200, body: 'ok' });
    expect(upstream.requests.at(-1)?.body.toString()).toBe('ok');
    expect((await client.answer()).field('Connection')).not.toBe('close');
  });

  it.each([
    ['a service that is none', '/nobody/x', authorization, 404],
    ['an ambiguous path', `${path}/../y`, authorization, 400],
    ...(port === 'external' ? ([['a bad token', path, 'Authorization: Bearer bad', 401]] as const) : []),
  ] as const)(
    '100 Continue is not sent for %s, and what follows is no request',
    async (_what, target, line, status) => {
      using client = await RawClient.to(test[port]);
      const fields = ['Expect: 100-continue', 'Content-Length: 200', 'Connection: keep-alive'];
      client.send(request(`POST ${target}`, line, ...fields));
      await client.closed();
      expect(client.received).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
      expect((await client.answer()).field('Connection')).toBe('close');
      expect(client.received).not.toContain('100 Continue');
    },
  );
});

it('VIA_NAME and VIA_ON_RESPONSES: answers tell whom they came through', async () => {
  await using upstream = await startUpstream((_req, res) => void res.setHeader('Via', '1.1 inner').end('ok'));
  const env = { VIA_NAME: 'edge', VIA_ON_RESPONSES: 'true' };
  await using test = await startGateway({ services: { '/up': [upstream] }, env });
  const { fields } = await sendRaw(test.internal, request('GET /internal/up/x'));
  const via = fields.filter(([name]) => name.toLowerCase() === 'via').map(([, value]) => value);
  expect(via).toEqual(['1.1 inner', '1.1 edge']);
  expect(fieldValues(upstream.requests[0]?.fields ?? [], 'via')).toEqual(['1.1 edge']);
});

it('server-sent events flow at once through the whole chain, past the cache', async () => {
  const { promise: go, resolve } = Promise.withResolvers<void>();
  await using upstream = await startUpstream(async (_req, res) => {
    res.writeHead(200, { 'Content-Type': 'text/event-stream' }).write('data: one\n\n');
    await go;
    res.end('data: two\n\n');
  });
  await using test = await startGateway({ services: { '/up': [upstream] } });
  using client = await RawClient.to(test.external);
  client.send(request('GET /up/x', authorization));
  await eventually('the first event', () => client.received.includes('data: one\n\n'));
  resolve();
  expect(await client.answer()).toMatchObject({ body: 'data: one\n\ndata: two\n\n', whole: true });
});

it('what came behind a response goes to nobody', async () => {
  const extra = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil';
  await using upstream = await startRawUpstream(
    says(`HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok${extra}`),
  );
  await using test = await startGateway({ services: { '/up': [upstream] } });
  for (let n = 0; n < 5; n += 1) {
    const answer = await sendRaw(test.internal, request('GET /internal/up/x'));
    expect(answer).toMatchObject({ body: 'ok', rest: '' });
  }
});
