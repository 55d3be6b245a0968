import { expect, it, jest } from '@jest/globals';
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
