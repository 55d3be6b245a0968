import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import { join } from 'node:path';
import { expect, it } from '@jest/globals';
import { WebSocket } from 'ws';
import { CertificateFiles, makeAuthority } from '../support/certificates.ts';
import { sendRaw, request as written } from '../support/clients/rawClient.ts';
import { eventually } from '../support/eventually.ts';
import { bearer, startGateway, type TestGateway, tokenFor } from '../support/gateway/gateway.ts';
import { underWay } from '../support/gateway/nothingHeld.ts';
import { ManualClock } from '../support/manualClock.ts';
import { startTlsService } from '../support/upstreams/tls/service.ts';
import { hangs, refusedUrl, startRawUpstream, startUpstream } from '../support/upstreams/upstream.ts';
import { startSocketService } from '../support/upstreams/webSocket.ts';

const ORIGIN = 'https://app.example';
/** Every field that changes what a service or a client gets. */
const ALL = {
  cors: { origins: [ORIGIN], exposeHeaders: ['X-Total'] },
  security: { frame: 'sameorigin' as const },
  headers: {
    request: { set: { 'X-From': 'gateway' }, remove: ['X-Secret'] },
    response: { set: { 'X-Total': 3 }, remove: ['Server'] },
  },
  host: 'shop.internal',
  passAuthorization: true,
};
const EXPECTED = {
  'access-control-allow-origin': ORIGIN,
  'x-frame-options': 'SAMEORIGIN',
  'x-content-type-options': 'nosniff',
  'x-total': '3',
};

const UPGRADE = [
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
];

const token = tokenFor('ann');
const bearerLines = [`Authorization: Bearer ${token}`];
const fields = { ...bearer(token), Origin: ORIGIN, 'X-Secret': 's3cret' };
const get = (gateway: TestGateway, path: string) => fetch(gateway.external + path, { headers: fields });

function namesOf(headers: Headers): Record<string, string | null> {
  return Object.fromEntries(Object.keys(EXPECTED).map((name) => [name, headers.get(name)]));
}

it('what a route says of fields holds after a failover, for a hit, for the refusal of a limit, and for a WebSocket', async () => {
  const got: (string | undefined)[][] = [];
  await using shop = await startUpstream(({ headers: { host, authorization, ...rest } }, res) => {
    got.push([host, authorization, rest['x-from'] as string, rest['x-secret'] as string | undefined]);
    res.writeHead(200, { Server: 'shop' }).end('ok');
  });
  await using slow = await startRawUpstream(hangs);
  await using chat = await startSocketService();
  await using gateway = await startGateway({
    clock: new ManualClock(),
    defaults: ALL,
    services: {
      '/shop': { upstreams: [refusedUrl(), shop], routes: [{ match: { path: '/x' }, cache: { ttl: '1m' } }] },
      '/slow': { upstreams: [slow], routes: [{ match: { path: '/x' }, limits: { concurrency: 1 } }] },
      '/chat': {
        upstreams: [refusedUrl(), chat],
        routes: [{ match: { path: '/**' }, host: 'chat.internal' }],
      },
    },
  });
  for (const xCache of ['MISS', 'HIT']) {
    const response = await get(gateway, '/shop/x');
    expect([response.status, response.headers.get('x-cache')]).toEqual([200, xCache]);
    expect(namesOf(response.headers)).toEqual(EXPECTED);
    expect(response.headers.get('server')).toBeNull();
  }
  expect(got).toEqual([['shop.internal', fields.Authorization, 'gateway', undefined]]);

  const blocking = get(gateway, '/slow/x').catch(() => undefined);
  await underWay(gateway, 1);
  const refused = await get(gateway, '/slow/x');
  expect([refused.status, namesOf(refused.headers)]).toEqual([429, EXPECTED]);

  const url = `${gateway.external.replace('http', 'ws')}/chat/room`;
  const socket = new WebSocket(url, { headers: fields });
  const [[response]] = await Promise.all([once(socket, 'upgrade'), once(socket, 'open')]);
  expect(response.headers).toMatchObject({ 'x-total': '3' });
  socket.terminate();
  await gateway.stop();
  await blocking;
});

it('a redirect, a fixed response and a refused address take no permit, and are the same for a WebSocket', async () => {
  await using slow = await startRawUpstream(hangs);
  await using gateway = await startGateway({
    clock: new ManualClock(),
    services: {
      '/slow': {
        upstreams: [slow],
        routes: [
          { match: { path: '/old' }, redirect: { to: '/slow/new', status: 308 } },
          { match: { path: '/shut' }, respond: { status: 503, body: 'Back at noon', retryAfter: '10m' } },
          { match: { path: '/closed' }, deny: ['127.0.0.1'] },
        ],
      },
    },
    env: { PER_SERVICE_LIMIT: '1' },
  });
  const blocking = get(gateway, '/slow/x').catch(() => undefined);
  await underWay(gateway, 1);
  expect((await get(gateway, '/slow/y')).status).toBe(429);
  for (const [path, status, field] of [
    ['/slow/old', 308, 'location'],
    ['/slow/shut', 503, 'retry-after'],
    ['/slow/closed', 403, 'x-request-id'],
  ] as const) {
    const plain = await fetch(gateway.external + path, { headers: fields, redirect: 'manual' });
    expect([path, plain.status, plain.headers.has(field)]).toEqual([path, status, true]);
    const socket = await sendRaw(gateway.external, written(`GET ${path}`, ...UPGRADE));
    expect([path, socket.status]).toEqual([path, status]);
  }
  expect(slow.requests).toHaveLength(1);
  await gateway.stop();
  await blocking;
});

it('a service over TLS whose replicas are checked: a failover, hits while none is ready, and no WebSocket then', async () => {
  const authority = makeAuthority('our CA');
  using files = new CertificateFiles();
  const ca = join(files.directory, 'ca.pem');
  writeFileSync(ca, authority.cert);
  let status = 200;
  const answer: RequestListener = ({ url }, res) =>
    void res.writeHead(url === '/ready' ? status : 200).end('ok');
  await using service = await startTlsService(authority.issue('server'), answer);
  await using gateway = await startGateway({
    services: {
      '/shop': {
        upstreams: ['https://127.0.0.1:1', service.url.origin],
        tls: { ca },
        health: { path: '/ready', interval: '25ms', unhealthyAfter: 1 },
        breaker: 'off',
      },
    },
  });
  for (const xCache of ['MISS', 'HIT']) {
    const response = await get(gateway, '/shop/x');
    expect([response.status, response.headers.get('x-cache')]).toEqual([200, xCache]);
  }
  status = 503;
  // What is no GET is never served from the cache.
  await eventually('no replica is ready', async () => {
    const response = await fetch(`${gateway.external}/shop/y`, { method: 'POST', headers: fields });
    return response.status === 503;
  });
  expect((await get(gateway, '/shop/x')).headers.get('x-cache')).toBe('HIT');
  const socket = await sendRaw(gateway.external, written('GET /shop/room', ...bearerLines, ...UPGRADE));
  expect(socket.status).toBe(503);
});
