import { beforeEach, expect, it, jest } from '@jest/globals';
import { WebSocket } from 'ws';
import type { ServiceInput } from '../../../config/file/schema.ts';
import { bearer, STORES, startGateway, tokenFor } from '../../support/gateway/gateway.ts';
import { expectProblem } from '../../support/gateway/problem.ts';
import { emptyTestRedis } from '../../support/stores/storeProbe.ts';
import { startUpstream } from '../../support/upstreams/upstream.ts';
import { startSocketService } from '../../support/upstreams/webSocket.ts';

jest.setTimeout(30_000);
beforeEach(emptyTestRedis);

const ORIGIN = 'https://app.faf.example';

it.each(STORES)(
  'a route has its rate beside that of everybody, and what it refuses uses up nothing, with the %s store',
  async (store) => {
    await using shop = await startUpstream();
    const routes: ServiceInput['routes'] = [
      { match: { path: '/reports/**' }, limits: { rate: { per: 'identity', limit: '1/1h' } } },
    ];
    await using gateway = await startGateway({
      services: { '/shop': { upstreams: [shop], routes } },
      store,
      env: { RATE_LIMIT_PER_IDENTITY: '3/1h' },
    });
    const get = (path: string, who = 'ann') =>
      fetch(gateway.external + path, { headers: bearer(tokenFor(who)) });
    const first = await get('/shop/reports/1');
    expect(first.headers.get('RateLimit-Policy')).toBe('"identity";q=3;w=3600, "route-identity";q=1;w=3600');
    for (const path of ['/shop/reports/2', '/shop/Reports/3', '/shop/reports/4']) {
      const refused = await get(path);
      const retryAfter = Number(refused.headers.get('Retry-After'));
      expect(retryAfter).toBeGreaterThan(3_500);
      expect(retryAfter).toBeLessThanOrEqual(3_600);
      await expectProblem(refused, 'rate_limited', { retryAfter });
    }
    expect((await get('/shop/reports/5', 'bob')).status).toBe(200);
    const statuses = [];
    for (let n = 0; n < 3; n += 1) statuses.push((await get(`/shop/${n}`)).status);
    expect(statuses).toEqual([200, 200, 429]);
    const labels = { policy: 'route-identity', service: '/shop', route: '/shop/reports/**' };
    expect(await gateway.metric('gateway_rate_limited_total', labels)).toBe(3);
    const refused = gateway.logLines().find(({ rateLimit }) => rateLimit === 'route-identity');
    expect(refused).toMatchObject({ status: 429, code: 'rate_limited' });
  },
);

it('a plan chooses the limit and never the bucket', async () => {
  await using shop = await startUpstream();
  const limits = { free: '2/1h', pro: '5/1h', default: '1/1h' };
  const routes: ServiceInput['routes'] = [
    { match: { path: '/x' }, limits: { rate: { per: 'identity', by: 'claim:plan', limits } } },
  ];
  await using gateway = await startGateway({ services: { '/shop': { upstreams: [shop], routes } } });
  const statusOf = async (plan?: string) => {
    const token = tokenFor('ann', plan === undefined ? {} : { plan });
    return (await fetch(`${gateway.external}/shop/x`, { headers: bearer(token) })).status;
  };
  const statuses = [];
  for (const plan of [undefined, undefined, 'free', 'free', 'pro', 'pro', 'pro', 'pro'])
    statuses.push(await statusOf(plan));
  expect(statuses).toEqual([200, 429, 200, 429, 200, 200, 200, 429]);
});

it('who has no token counts by address, preflights do not count, and a service counts for all', async () => {
  await using shop = await startUpstream();
  const routes: ServiceInput['routes'] = [
    {
      match: { path: '/open' },
      auth: 'optional' as const,
      cors: { origins: [ORIGIN] },
      limits: {
        rate: [
          { per: 'identity' as const, limit: '1/1h' },
          { per: 'route' as const, limit: '2/1h' },
        ],
      },
    },
  ];
  await using gateway = await startGateway({ services: { '/shop': { upstreams: [shop], routes } } });
  const ask = async (init: RequestInit = {}) => (await fetch(`${gateway.external}/shop/open`, init)).status;
  const preflight = { Origin: ORIGIN, 'Access-Control-Request-Method': 'GET' };
  for (let n = 0; n < 3; n += 1) expect(await ask({ method: 'OPTIONS', headers: preflight })).toBe(204);
  expect([await ask(), await ask()]).toEqual([200, 429]);
  expect(await ask({ headers: bearer(tokenFor('ann')) })).toBe(200);
  expect(await ask({ headers: bearer(tokenFor('bob')) })).toBe(429);
});

it('a WebSocket handshake counts', async () => {
  await using sockets = await startSocketService();
  const routes: ServiceInput['routes'] = [
    { match: { path: '/hub' }, limits: { rate: { per: 'identity', limit: '1/1h' } } },
  ];
  await using gateway = await startGateway({ services: { '/shop': { upstreams: [sockets], routes } } });
  const open = () =>
    new Promise<string>((resolve) => {
      const url = `${gateway.external.replace('http', 'ws')}/shop/hub`;
      const socket = new WebSocket(url, { headers: bearer(tokenFor('ann')) });
      socket.on('open', () => {
        socket.terminate();
        resolve('open');
      });
      socket.on('error', ({ message }) => resolve(message));
    });
  expect(await open()).toBe('open');
  expect(await open()).toContain('429');
});
