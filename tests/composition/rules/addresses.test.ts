import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { describe, expect, it } from '@jest/globals';
import { WebSocket } from 'ws';
import { answerTo, call, open } from '../../support/clients/client.ts';
import { eventually } from '../../support/eventually.ts';
import { bearer, startGateway, type TestGateway, tokenFor } from '../../support/gateway/gateway.ts';
import { refusedUrl, startUpstream, type Upstream } from '../../support/upstreams/upstream.ts';
import { startSocketService } from '../../support/upstreams/webSocket.ts';
import { composedAgain } from './composedAgain.ts';

const INSIDE = '10.1.2.3';
const OUTSIDE = '192.0.2.66';
const env = { TRUSTED_PROXIES: 'loopback' };
const from = (address: string) => ({ ...bearer(tokenFor('ann')), 'X-Forwarded-For': address });

/** The two ways to keep OUTSIDE out and let INSIDE in. */
const RULES = [
  { rule: 'allow', says: { allow: ['10.0.0.0/8'] } },
  { rule: 'deny', says: { deny: [`${OUTSIDE}/32`] } },
];

const statusOf = async ({ external }: Pick<TestGateway, 'external'>, path: string, address: string) =>
  (await call(`${external}${path}`, { headers: from(address) })).status;

describe.each(RULES)('$rule', ({ says }) => {
  const start = (upstreams: readonly (Upstream | URL)[], more: object = {}) =>
    startGateway({
      services: { '/shop': { upstreams, ...says, ...more } as never, '/other': upstreams },
      env,
    });

  it.each(['defaults', 'service', 'route'] as const)('said by %s holds on a route', async (level) => {
    await using shop = await startUpstream();
    const at = (each: typeof level) => (each === level ? says : {});
    await using gateway = await startGateway({
      defaults: at('defaults'),
      services: {
        '/shop': {
          upstreams: [shop],
          ...at('service'),
          routes: [{ match: { path: '/a/**' }, ...at('route') }],
        },
      },
      env,
    });
    expect(await statusOf(gateway, '/shop/a/x', OUTSIDE)).toBe(403);
    expect(await statusOf(gateway, '/shop/a/x', INSIDE)).toBe(200);
    expect(await statusOf(gateway, '/shop/x', OUTSIDE)).toBe(level === 'route' ? 200 : 403);
  });

  it('keeps from everybody else what the cache has', async () => {
    await using shop = await startUpstream((_req, res) => {
      res.setHeader('Cache-Control', 'public, max-age=60').end('ok');
    });
    await using gateway = await start([shop]);
    for (const expected of ['MISS', 'HIT']) {
      const { headers } = await call(`${gateway.external}/shop/x`, { headers: from(INSIDE) });
      expect(headers['x-cache']).toBe(expected);
    }
    expect(await statusOf(gateway, '/shop/x', OUTSIDE)).toBe(403);
    expect(shop.requests).toHaveLength(1);
  });

  it('refuses without a permit, and without using up a rate', async () => {
    const held: ServerResponse[] = [];
    await using shop = await startUpstream((_req, res) => void held.push(res));
    const limits = { concurrency: 1, rate: { per: 'service', limit: '1/1h' } };
    await using gateway = await start([shop], { limits });
    expect(await statusOf(gateway, '/shop/x', OUTSIDE)).toBe(403);
    const served = statusOf(gateway, '/shop/x', INSIDE);
    await eventually('it has the only permit', () => held.length === 1);
    expect(await statusOf(gateway, '/shop/y', OUTSIDE)).toBe(403);
    expect(await statusOf(gateway, '/shop/y', INSIDE)).toBe(429);
    held[0]?.end('ok');
    expect(await served).toBe(200);
  });

  it('refuses whatever the replicas do, and lets a second try in', async () => {
    await using shop = await startUpstream();
    await using gateway = await start([refusedUrl(), shop], { cacheTtl: 'off' });
    for (let n = 0; n < 4; n += 1) {
      expect(await statusOf(gateway, `/shop/${n}`, OUTSIDE)).toBe(403);
      expect(await statusOf(gateway, `/shop/${n}`, INSIDE)).toBe(200);
    }
    expect(shop.requests).toHaveLength(4);
  });

  it('refuses event streams and large content, and ends no stream that was let in', async () => {
    const body = Buffer.alloc(8 * 2 ** 20, 'large ');
    let events: ServerResponse | undefined;
    await using shop = await startUpstream((req, res) => {
      if (req.method === 'PUT') return void res.end('ok');
      events = res.writeHead(200, { 'Content-Type': 'text/event-stream' });
      events.write('data: 0\n\n');
    });
    await using gateway = await start([shop], { limits: { body: '16MiB' } });
    const stream = await answerTo(open(`${gateway.external}/shop/events`, { headers: from(INSIDE) }).end());
    expect(String((await once(stream, 'data'))[0])).toBe('data: 0\n\n');
    expect(await statusOf(gateway, '/shop/events', OUTSIDE)).toBe(403);
    const upload = (address: string) =>
      call(`${gateway.external}/shop/x`, { method: 'PUT', headers: from(address), body });
    const refused = await upload(OUTSIDE);
    expect([refused.status, JSON.parse(refused.body.toString())]).toEqual([
      403,
      expect.objectContaining({ code: 'address_refused' }),
    ]);
    expect((await upload(INSIDE)).status).toBe(200);
    expect(shop.requests.map(({ body: { length } }) => length)).toEqual([0, body.length]);
    events?.write('data: 1\n\n');
    expect(String((await once(stream, 'data'))[0])).toBe('data: 1\n\n');
    stream.destroy();
  });

  it('lets in WebSockets of others alone', async () => {
    await using sockets = await startSocketService();
    await using gateway = await start([sockets.url]);
    const url = `${gateway.external.replace('http', 'ws')}/shop/hub`;
    const socket = new WebSocket(url, { headers: from(INSIDE) });
    await once(socket, 'open');
    socket.send('hello');
    expect(String((await once(socket, 'message'))[0])).toBe('hello');
    const refused = new WebSocket(url, { headers: from(OUTSIDE) });
    expect(String((await once(refused, 'error'))[0])).toContain('403');
    expect(sockets.handshakes).toHaveLength(1);
    socket.terminate();
  });

  it('is asked before a side is chosen, and before a copy is made', async () => {
    await using shop = await startUpstream();
    await using next = await startUpstream();
    await using gateway = await startGateway({
      services: {
        '/shop': {
          upstreams: [shop],
          routes: [
            {
              match: { path: '/both/**' },
              split: [
                { service: 'shop', weight: 1 },
                { service: 'next', weight: 1 },
              ],
              ...says,
            },
            { match: { path: '/copied/**' }, mirror: { service: 'next' }, ...says },
          ],
        },
        '/next': [next],
      },
      env,
    });
    for (const path of ['/shop/both/x', '/shop/copied/x'])
      expect(await statusOf(gateway, path, OUTSIDE)).toBe(403);
    expect([shop.requests, next.requests]).toEqual([[], []]);
    for (const path of ['/shop/both/x', '/shop/copied/x'])
      expect(await statusOf(gateway, path, INSIDE)).toBe(200);
    await eventually('the copy', () => shop.requests.length + next.requests.length === 3);
  });

  it('holds where its chain is composed anew', async () => {
    await using shop = await startUpstream();
    await using gateway = await start([shop]);
    await using again = await composedAgain(gateway);
    expect(await statusOf(again, '/shop/x', OUTSIDE)).toBe(403);
    expect(await statusOf(again, '/shop/x', INSIDE)).toBe(200);
  });
});

it('allow replaces what is said further out, deny adds to it, and deny counts before allow', async () => {
  await using shop = await startUpstream();
  await using gateway = await startGateway({
    defaults: { allow: ['10.0.0.0/8'], deny: ['10.9.0.0/16'] },
    services: {
      '/shop': {
        upstreams: [shop],
        deny: ['10.8.0.0/16'],
        routes: [
          { match: { path: '/wide/**' }, allow: ['0.0.0.0/0'], deny: [] },
          { match: { path: '/narrow/**' }, allow: ['10.1.0.0/16'], deny: ['10.1.9.9'] },
        ],
      },
    },
    env,
  });
  const of = async (path: string) => {
    const addresses = ['10.1.2.3', '10.1.9.9', '10.2.0.1', '10.8.0.1', '10.9.0.1', '192.0.2.1'];
    const statuses = [];
    for (const address of addresses) statuses.push(await statusOf(gateway, path, address));
    return statuses;
  };
  expect(await of('/shop/x')).toEqual([200, 200, 200, 403, 403, 403]);
  expect(await of('/shop/wide/x')).toEqual([200, 200, 200, 403, 403, 200]);
  expect(await of('/shop/narrow/x')).toEqual([200, 403, 403, 403, 403, 403]);
});
