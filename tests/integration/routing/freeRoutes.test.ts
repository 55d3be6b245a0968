import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { fieldValue } from '../../../lib/http/fields.ts';
import { type RawResponse, request, sendRaw } from '../../support/clients/rawClient.ts';
import { eventually } from '../../support/eventually.ts';
import { startGateway, type TestGateway, tokenFor } from '../../support/gateway/gateway.ts';
import { expectProblem } from '../../support/gateway/problem.ts';
import { startUpstream, type Upstream } from '../../support/upstreams/upstream.ts';

const good = `Authorization: Bearer ${tokenFor('ann')}`;

let orders: Upstream;
let legacy: Upstream;
let gateway: TestGateway;

beforeAll(async () => {
  [orders, legacy] = await Promise.all([startUpstream(), startUpstream()]);
  gateway = await startGateway({
    services: { '/orders': [orders], '/legacy': { upstreams: [legacy], limits: { body: '4' } } },
    routes: [
      { match: { path: '/api/orders/:id' }, service: 'orders', rewrite: '/items/:id' },
      { match: { path: '/v1/**' }, service: 'orders', rewrite: '/**' },
      { match: { path: '/v1/**', headers: { 'x-version': '2' } }, service: 'legacy' },
      { match: { path: '/api/**', host: '*.old.example' }, service: 'legacy', auth: 'none' },
      { match: { path: '/only', methods: ['GET', 'POST'] }, service: 'orders' },
      { match: { path: '/moved/**' }, redirect: { to: '/new/**', status: 308 } },
      { match: { path: '/away/:id' }, redirect: { to: 'https://faf.example/x/:id' } },
      { match: { path: '/root/**' }, redirect: { to: '/**' } },
      {
        match: { path: '/booking/**' },
        respond: { status: 503, body: { error: 'Back at noon' }, retryAfter: '10m' },
      },
      { match: { path: '/robots.txt' }, respond: { status: 200, body: 'Disallow: /' } },
      { match: { path: '/gone' }, respond: { status: 204 } },
    ],
  });
});
afterAll(async () => {
  await gateway.stop();
  await Promise.all([orders, legacy].map((upstream) => upstream[Symbol.asyncDispose]()));
});

function send(line: string, ...fields: string[]): Promise<RawResponse> {
  return sendRaw(gateway.external, request(line, ...fields));
}

/** The target that the service got, of the request that was sent last. */
async function targetAt(upstream: Upstream, line: string, ...fields: string[]): Promise<string | undefined> {
  const before = upstream.requests.length;
  expect((await send(line, good, ...fields)).status).toBe(200);
  expect(upstream.requests.length).toBe(before + 1);
  return upstream.requests.at(-1)?.target;
}

describe('a route that belongs to no service', () => {
  it('gives the service the path that it says, and the query', async () => {
    expect(await targetAt(orders, 'GET /api/orders/5?x=%2F&y')).toBe('/items/5?x=%2F&y');
    expect(await targetAt(orders, 'GET /v1/a//b?')).toBe('/a//b?');
    expect(await targetAt(orders, 'GET /v1')).toBe('/');
  });

  it('is counted by its name, whoever responds', async () => {
    const counted = (route: string, status: string) =>
      eventually(route, () => gateway.metric('gateway_route_requests_total', { route, status }));
    await send('GET /gone');
    await send('GET /api/orders/counted', good);
    expect(await counted('/gone', '204')).toBe(1);
    expect(await counted('/api/orders/:id', '200')).toBeGreaterThan(0);
  });

  it('says which prefix was cut, where nothing else was changed', async () => {
    await targetAt(orders, 'GET /v1/a');
    expect(fieldValue(orders.requests.at(-1)?.fields ?? [], 'x-forwarded-prefix')).toBe('/v1');
    await targetAt(orders, 'GET /api/orders/5');
    expect(fieldValue(orders.requests.at(-1)?.fields ?? [], 'x-forwarded-prefix')).toBe(undefined);
  });

  it('is chosen by fields and by host, and inherits from its service', async () => {
    expect(await targetAt(legacy, 'GET /v1/c', 'X-Version: 2')).toBe('/v1/c');
    expect(await targetAt(orders, 'GET /v1/c', 'X-Version: 3')).toBe('/c');
    await expectProblem(
      await send('POST /v1/a', good, 'X-Version: 2', 'Content-Length: 5'),
      'body_too_large',
    );
    const open = await sendRaw(
      gateway.external,
      request('GET /api/x').replace('gateway.test', 'a.old.example'),
    );
    expect(open.status).toBe(200);
  });

  it('leaves services where they are', async () => {
    expect(await targetAt(orders, 'GET /orders/a?x')).toBe('/a?x');
    expect(await targetAt(legacy, 'GET /legacy')).toBe('/');
    await expectProblem(await send('GET /orders/a'), 'token_missing');
  });

  it('is refused where the path has no methods for it, with those that it has', async () => {
    const answer = await send('DELETE /only', good);
    await expectProblem(answer, 'method_not_allowed');
    expect(answer.field('allow')).toBe('GET, HEAD, POST');
    expect(await targetAt(orders, 'HEAD /only')).toBe('/only');
  });

  it('is 404 where nothing is for the path', async () => {
    await expectProblem(await send('GET /api/other', good), 'no_such_service');
    await expectProblem(await send('GET /', good), 'no_such_service');
  });

  it('is not for services among themselves', async () => {
    await expectProblem(await sendRaw(gateway.internal, request('GET /internal/v1/a')), 'no_such_service');
    expect((await sendRaw(gateway.internal, request('GET /internal/orders/a'))).status).toBe(200);
  });

  it('opens no other spelling of what needs a token', async () => {
    for (const target of ['/Orders/a', '/orders;/a', '/%6frders/a', '/V1/a', '/api;x/orders/5'])
      await expectProblem(await send(`GET ${target}`), 'token_missing');
    await expectProblem(await send('GET //orders/a', good), 'bad_request');
  });
});

describe('a redirect', () => {
  it.each([
    ['/moved', 308, '/new'],
    ['/moved/a/b?x=1', 308, '/new/a/b?x=1'],
    ['/away/5?y', 307, 'https://faf.example/x/5?y'],
    ['/root//evil.example/x', 307, '/evil.example/x'],
  ])('of %s is %d to %s', async (target, status, location) => {
    const answer = await send(`GET ${target}`);
    expect([answer.status, answer.field('location')]).toEqual([status, location]);
    expect(answer.field('x-request-id')).toBeTruthy();
  });
});

describe('a redirect to where ** stands for nothing', () => {
  it('leads to the root', async () => {
    for (const [line, location] of [
      ['GET /root', '/'],
      ['GET /root/', '/'],
      ['GET /root?x=1', '/?x=1'],
      ['GET /root/a', '/a'],
    ] as const)
      expect((await send(line)).field('location')).toBe(location);
  });
});

describe('a fixed response', () => {
  it('is the same for everybody, in any spelling and for any method', async () => {
    for (const line of ['GET /booking/rides', 'POST /booking', 'GET /Booking/x', 'GET /booking%2fx']) {
      const answer = await send(line, ...(line.startsWith('POST') ? ['Content-Length: 0'] : []));
      expect(answer.status).toBe(503);
      expect(JSON.parse(answer.body.toString())).toEqual({ error: 'Back at noon' });
      expect(answer.field('retry-after')).toBe('600');
      expect(answer.field('content-type')).toBe('application/json');
    }
  });

  it('may be a text, or have no content', async () => {
    const text = await send('GET /robots.txt');
    expect([text.status, text.body.toString(), text.field('content-type')]).toEqual([
      200,
      'Disallow: /',
      'text/plain; charset=utf-8',
    ]);
    const none = await send('GET /gone');
    expect([none.status, none.field('content-length'), none.body.length]).toEqual([204, undefined, 0]);
    const head = await send('HEAD /robots.txt');
    expect([head.status, head.field('content-length'), head.body.length]).toEqual([200, '11', 0]);
  });
});

it('a target that is no path is for no route, not even for one of all paths', async () => {
  await using open = await startGateway({
    services: { '/orders': [orders] },
    routes: [{ match: { path: '/**' }, service: 'orders', auth: 'none', rewrite: '/pub/**' }],
  });
  const before = orders.requests.length;
  for (const line of ['GET *', 'GET http://other.example/secret', 'GET ftp://x/y']) {
    await expectProblem(await sendRaw(open.external, request(line)), 'no_such_service');
  }
  expect(orders.requests.length).toBe(before);
  expect((await sendRaw(open.external, request('GET http://gateway.test/a?b'))).status).toBe(200);
  expect(orders.requests.at(-1)?.target).toBe('/pub/a?b');
});
