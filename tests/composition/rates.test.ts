import { expect, it, jest } from '@jest/globals';
import { ADMIN_TOKEN, makeKey } from '../support/clients/apiKeys.ts';
import { call } from '../support/clients/client.ts';
import { bearer, startGateway, tokenFor } from '../support/gateway/gateway.ts';
import { startGatewayProcess } from '../support/gateway/gatewayProcess.ts';
import { refusedUrl, startUpstream } from '../support/upstreams/upstream.ts';

jest.setTimeout(60_000);

const limits = (limit: string) => ({ rate: { per: 'identity' as const, limit } });

it('two threads let exactly as many through as one', async () => {
  await using shop = await startUpstream();
  await using gateway = await startGatewayProcess({
    services: { '/shop': { upstreams: [shop], cacheTtl: 'off', limits: limits('20/1h') } },
    env: { WORKERS: '2' },
  });
  const headers = bearer(tokenFor('ann'));
  // Each on a connection of its own, which either thread may have.
  const statuses = [];
  for (let n = 0; n < 40; n += 1)
    statuses.push((await call(`${gateway.external}/shop/${n}`, { headers })).status);
  expect(statuses).toEqual([...Array(20).fill(200), ...Array(20).fill(429)]);
  expect(shop.requests).toHaveLength(20);
});

it('a request that is tried at a second replica counts once', async () => {
  await using shop = await startUpstream();
  const upstreams = [{ url: refusedUrl() }, shop];
  await using gateway = await startGateway({
    services: { '/shop': { upstreams, cacheTtl: 'off', limits: limits('4/1h') } },
  });
  const headers = bearer(tokenFor('ann'));
  const statuses = [];
  for (let n = 0; n < 5; n += 1)
    statuses.push((await fetch(`${gateway.external}/shop/${n}`, { headers })).status);
  expect(statuses).toEqual([200, 200, 200, 200, 429]);
});

it('hits of the cache count', async () => {
  await using shop = await startUpstream((_req, res) => {
    res.setHeader('Cache-Control', 'max-age=60').end('ok');
  });
  await using gateway = await startGateway({
    services: { '/shop': { upstreams: [shop], cacheTtl: '1m', limits: limits('3/1h') } },
  });
  const headers = bearer(tokenFor('ann'));
  const statuses = [];
  for (let n = 0; n < 4; n += 1)
    statuses.push((await fetch(`${gateway.external}/shop/tea`, { headers })).status);
  expect(statuses).toEqual([200, 200, 200, 429]);
  expect(shop.requests).toHaveLength(1);
});

it('an event stream counts once, at its beginning', async () => {
  await using shop = await startUpstream((_req, res) => {
    res.writeHead(200, { 'Content-Type': 'text/event-stream' });
    for (let n = 0; n < 20; n += 1) res.write(`data: ${n}\n\n`);
    res.end();
  });
  await using gateway = await startGateway({
    services: { '/shop': { upstreams: [shop], limits: limits('2/1h') } },
  });
  const headers = bearer(tokenFor('ann'));
  const texts = [];
  for (let n = 0; n < 3; n += 1) {
    const response = await fetch(`${gateway.external}/shop/events`, { headers });
    texts.push([response.status, (await response.text()).split('data:').length - 1]);
  }
  expect(texts).toEqual([
    [200, 20],
    [200, 20],
    [429, 0],
  ]);
});

it('every API key has a bucket of its own, also two of one owner, and no user shares it', async () => {
  await using shop = await startUpstream();
  await using gateway = await startGateway({
    services: {
      '/shop': { upstreams: [shop], auth: { sources: ['bearer', 'apiKey'] }, limits: limits('1/1h') },
    },
    env: { ADMIN_TOKEN },
  });
  const keys = [await makeKey(gateway.internal), await makeKey(gateway.internal)];
  const senders = [...keys.map(({ key }) => ({ 'X-Api-Key': key })), bearer(tokenFor('billing'))];
  for (const expected of [200, 429]) {
    for (const headers of senders) {
      expect((await fetch(`${gateway.external}/shop/x`, { headers })).status).toBe(expected);
    }
  }
});

it('the sides of a split route count together, and a copy for a mirror not at all', async () => {
  await using shop = await startUpstream();
  await using next = await startUpstream();
  const split = [
    { service: 'shop', weight: 1 },
    { service: 'next', weight: 1 },
  ];
  await using gateway = await startGateway({
    services: {
      '/shop': {
        upstreams: [shop],
        routes: [
          { match: { path: '/both/**' }, split, limits: { rate: { per: 'route', limit: '6/1h' } } },
          { match: { path: '/copied/**' }, mirror: { service: 'next' } },
        ],
      },
      '/next': { upstreams: [next], limits: limits('1/1h') },
    },
  });
  const statusOf = async (path: string, name: string) =>
    (await fetch(gateway.external + path, { headers: bearer(tokenFor(name)) })).status;
  const statuses = [];
  for (let n = 0; n < 8; n += 1) statuses.push(await statusOf(`/shop/both/${n}`, `user ${n}`));
  expect(statuses).toEqual([200, 200, 200, 200, 200, 200, 429, 429]);
  expect([shop.requests.length > 0, next.requests.length > 0]).toEqual([true, true]);
  expect(await statusOf('/shop/copied/x', 'ann')).toBe(200);
  expect(await statusOf('/next/x', 'ann')).toBe(200);
  expect(await statusOf('/next/x', 'ann')).toBe(429);
});

it('what defaults, a service and a route say all count', async () => {
  await using shop = await startUpstream();
  const rate = (per: 'identity' | 'service' | 'route', limit: string) => ({ rate: { per, limit } });
  await using gateway = await startGateway({
    defaults: { limits: rate('identity', '5/1h') },
    services: {
      '/shop': {
        upstreams: [shop],
        limits: rate('service', '8/1h'),
        routes: [{ match: { path: '/few' }, limits: rate('route', '2/1h') }],
      },
    },
  });
  const send = async (path: string, name: string, times: number) => {
    const statuses = [];
    for (let n = 0; n < times; n += 1) {
      const headers = bearer(tokenFor(name));
      statuses.push((await fetch(gateway.external + path, { headers })).status);
    }
    return statuses;
  };
  expect(await send('/shop/few', 'ann', 3)).toEqual([200, 200, 429]);
  expect(await send('/shop/x', 'ann', 4)).toEqual([200, 200, 200, 429]);
  expect(await send('/shop/x', 'bob', 4)).toEqual([200, 200, 200, 429]);
});
