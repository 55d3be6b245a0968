import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it } from '@jest/globals';
import WebSocket, { WebSocketServer } from 'ws';
import { RawClient, request, sendRaw } from '../support/clients/rawClient.ts';
import { bearer, startGateway, type TestGateway, tokenFor } from '../support/gateway/gateway.ts';
import { expectNothingHeld, underWay } from '../support/gateway/nothingHeld.ts';
import { expectProblem } from '../support/gateway/problem.ts';
import { ManualClock } from '../support/manualClock.ts';
import { refusedUrl, startUpstream } from '../support/upstreams/upstream.ts';

const token = tokenFor('ann');
const good = `Authorization: Bearer ${token}`;
const ROUTES = [
  {
    match: { host: 'api.faf.example', path: '/v1/orders/**' },
    service: 'orders',
    rewrite: '/items/**',
  },
  { match: { path: '/reports/:id' }, service: 'orders', rewrite: '/slow/:id', timeouts: { request: '9s' } },
  { match: { path: '/orders/notes/**' }, respond: { status: 503 } },
];

/** What a client of another host says. */
const onHost = (line: string, ...fields: string[]) =>
  request(line, good, ...fields).replace('Host: gateway.test', 'Host: api.faf.example');

async function hold(gateway: TestGateway, line: string): Promise<RawClient> {
  const client = await RawClient.to(gateway.external);
  client.send(request(line, good));
  return client;
}

it('a rewritten request goes to another replica where one refuses, with the same target', async () => {
  await using orders = await startUpstream();
  await using gateway = await startGateway({
    services: { '/orders': [refusedUrl(), orders] },
    routes: ROUTES,
  });
  for (let n = 0; n < 4; n += 1) {
    expect((await sendRaw(gateway.external, onHost(`GET /v1/orders/${n}?x`))).status).toBe(200);
  }
  expect(orders.requests.map(({ target }) => target)).toEqual([0, 1, 2, 3].map((n) => `/items/${n}?x`));
  expect(await gateway.metric('gateway_failovers_total')).toBeGreaterThan(0);
  await expectNothingHeld(gateway);
});

it('what is kept by one path of a service is not given to who asks by another host or route', async () => {
  let calls = 0;
  await using orders = await startUpstream((_req, res) => {
    calls += 1;
    res.end(String(calls));
  });
  await using gateway = await startGateway({ services: { '/orders': [orders] }, routes: ROUTES });
  const bodies: string[] = [];
  for (const text of [
    onHost('GET /v1/orders/1'),
    onHost('GET /v1/orders/1'),
    request('GET /orders/items/1', good),
    request('GET /orders/items/1', good),
  ])
    bodies.push((await sendRaw(gateway.external, text)).body);
  expect(bodies).toEqual(['1', '1', '2', '2']);
});

it('a route counts towards the limit of its service, and has its own deadline', async () => {
  const clock = new ManualClock();
  await using orders = await startUpstream((req, res) => {
    if (!req.url?.includes('slow')) res.end('ok');
  });
  await using gateway = await startGateway({
    services: { '/orders': { upstreams: [orders], concurrency: 2, requestTimeout: '3s' } },
    routes: ROUTES,
    clock,
  });
  using first = await hold(gateway, 'GET /reports/1');
  using second = await hold(gateway, 'GET /orders/slow');
  await underWay(gateway, 2);
  await expectProblem(await sendRaw(gateway.external, onHost('GET /v1/orders/1')), 'service_busy');
  expect((await sendRaw(gateway.external, request('GET /orders/notes/1'))).status).toBe(503);
  clock.advance(3_000);
  await expectProblem(await second.answer(), 'request_timeout');
  expect((await sendRaw(gateway.external, onHost('GET /v1/orders/1'))).status).toBe(200);
  clock.advance(6_000);
  await expectProblem(await first.answer(), 'request_timeout');
  await expectNothingHeld(gateway);
});

it('a WebSocket is led by host and rewritten as any request', async () => {
  const handshakes: IncomingMessage[] = [];
  const server = createServer();
  const sockets = new WebSocketServer({ server });
  sockets.on('connection', (socket, req) => {
    handshakes.push(req);
    socket.on('message', (data) => socket.send(data));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  await using gateway = await startGateway({ services: { '/orders': [new URL(url)] }, routes: ROUTES });
  const socket = new WebSocket(`${gateway.external.replace('http', 'ws')}/v1/orders/live?room=1`, {
    headers: { ...bearer(token), Host: 'api.faf.example' },
  });
  await once(socket, 'open');
  const answer = once(socket, 'message');
  socket.send('hello');
  expect(String((await answer)[0])).toBe('hello');
  expect(handshakes[0]?.url).toBe('/items/live?room=1');
  socket.close();
  await once(socket, 'close');
  server.close();
  const refused = new WebSocket(`${gateway.external.replace('http', 'ws')}/orders/notes/live`);
  const [, response] = (await once(refused, 'unexpected-response')) as [unknown, IncomingMessage];
  expect(response.statusCode).toBe(503);
  refused.on('error', () => {});
  refused.terminate();
  await expectNothingHeld(gateway);
});

it('public paths are given from the cache, by another replica, and to a WebSocket that is refused', async () => {
  await using shop = await startUpstream((req, res) => {
    const kept = req.url?.includes('kept') ? { 'Cache-Control': 'max-age=60' } : {};
    res.writeHead(302, { Location: '/v1/there', ...kept });
    res.end();
  });
  await using gateway = await startGateway({
    services: {
      '/shop': {
        upstreams: [new URL('/v1', refusedUrl()), new URL('/v1', shop.url)],
        publicPaths: true,
        concurrency: 1,
      },
    },
    routes: [{ match: { path: '/api/**' }, service: 'shop', rewrite: '/**' }],
  });
  const verdicts: (string | undefined)[] = [];
  for (const line of [
    'GET /shop/kept',
    'GET /shop/kept',
    'GET /api/kept',
    'GET /api/kept',
    'GET /shop/other',
  ]) {
    const answer = await sendRaw(gateway.external, request(line, good));
    const prefix = line.startsWith('GET /api') ? '/api' : '/shop';
    expect([answer.status, answer.field('location')]).toEqual([302, `${prefix}/there`]);
    verdicts.push(answer.field('x-cache'));
  }
  expect(verdicts).toEqual(['MISS', 'HIT', 'MISS', 'HIT', 'MISS']);
  const upgrade = [
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  ];
  const refused = await sendRaw(
    gateway.external,
    request('GET /api/live', good, 'Connection: Upgrade', ...upgrade),
  );
  expect([refused.status, refused.field('location')]).toEqual([302, '/api/there']);
  await expectNothingHeld(gateway);
});
