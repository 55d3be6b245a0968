import { beforeEach, describe, expect, it } from '@jest/globals';
import { call } from '../../support/clients/client.ts';
import { RawClient } from '../../support/clients/rawClient.ts';
import { eventually } from '../../support/eventually.ts';
import { STORES, startGateway, type TestGateway } from '../../support/gateway/gateway.ts';
import { startRedis } from '../../support/stores/redis.ts';
import { emptyTestRedis } from '../../support/stores/storeProbe.ts';
import { startUpstream } from '../../support/upstreams/upstream.ts';
import { proUser, RATED_RULES } from './ratedRules.ts';

beforeEach(emptyTestRedis);

const ann = proUser('ann');

async function statusesOf({ external }: TestGateway, path: string, times: number, headers = ann) {
  const statuses = [];
  for (let n = 0; n < times; n += 1)
    statuses.push((await call(`${external}${path}/${n}`, { headers })).status);
  return statuses;
}

describe.each(RATED_RULES)('a rate $rule', ({ per, rate }) => {
  it('of a service counts what comes by a free-standing route as well', async () => {
    await using shop = await startUpstream();
    await using gateway = await startGateway({
      services: { '/shop': { upstreams: [shop], limits: { rate: rate('3/1h') } } },
      routes: [{ match: { path: '/api/**' }, service: 'shop' }],
    });
    expect(await statusesOf(gateway, '/api', 2)).toEqual([200, 200]);
    // Only of a rate per route each has its own.
    expect(await statusesOf(gateway, '/shop', 3)).toEqual(
      per === 'route' ? [200, 200, 200] : [200, 429, 429],
    );
  });

  it('of defaults counts all services together, if it is about callers', async () => {
    await using shop = await startUpstream();
    await using gateway = await startGateway({
      defaults: { limits: { rate: rate('3/1h') } },
      services: { '/shop': [shop], '/other': [shop] },
    });
    expect(await statusesOf(gateway, '/shop', 2)).toEqual([200, 200]);
    const isTogether = per === 'identity' || per === 'address';
    expect(await statusesOf(gateway, '/other', 3)).toEqual(isTogether ? [200, 429, 429] : [200, 200, 200]);
  });

  it('keeps what was used when a gateway starts with another limit on the same Redis', async () => {
    await using shop = await startUpstream();
    const start = (limit: string) =>
      startGateway({
        services: { '/shop': { upstreams: [shop], cacheTtl: 'off', limits: { rate: rate(limit) } } },
        store: 'redis',
      });
    {
      await using before = await start('3/1h');
      expect(await statusesOf(before, '/shop', 4)).toEqual([200, 200, 200, 429]);
    }
    {
      await using same = await start('3/1h');
      expect(await statusesOf(same, '/shop', 1)).toEqual([429]);
    }
    await using more = await start('5/1h');
    expect(await statusesOf(more, '/shop', 3)).toEqual([200, 200, 429]);
  });
});

it.each(STORES)(
  'several rates of one level all count, each by its own name, with the %s store',
  async (store) => {
    await using shop = await startUpstream();
    const rates = [
      { per: 'identity' as const, limit: '100/1h', burst: 3 },
      { per: 'identity' as const, limit: '5/1h' },
      { per: 'route' as const, limit: '4/1h' },
    ];
    await using gateway = await startGateway({
      services: { '/shop': { upstreams: [shop], limits: { rate: rates } } },
      store,
    });
    const { headers } = await call(`${gateway.external}/shop/x`, { headers: ann });
    expect(headers['ratelimit-policy']).toBe(
      '"service-identity";q=3;w=108, "service-identity-2";q=5;w=3600, "service-route";q=4;w=3600',
    );
    expect(await statusesOf(gateway, '/shop', 3)).toEqual([200, 200, 429]);
    // Bob has his own of the first two, and one is left of the third.
    expect(await statusesOf(gateway, '/shop', 2, proUser('bob'))).toEqual([200, 429]);
    const limitedBy = (policy: string) => gateway.metric('gateway_rate_limited_total', { policy });
    expect([await limitedBy('service-identity'), await limitedBy('service-route')]).toEqual([1, 1]);
  },
);

it('a split route has the rates per address of its first service, and all others of the side', async () => {
  await using shop = await startUpstream((_req, res) => void res.end('shop'));
  await using next = await startUpstream((_req, res) => void res.end('next'));
  const rates = (perAddress: string, perService: string) => ({
    rate: [
      { per: 'address' as const, limit: perAddress },
      { per: 'service' as const, limit: perService },
    ],
  });
  const split = [
    { service: 'shop', weight: 1 },
    { service: 'next', weight: 1 },
  ];
  await using gateway = await startGateway({
    services: {
      '/shop': {
        upstreams: [shop],
        cacheTtl: 'off',
        limits: rates('6/1h', '100/1h'),
        routes: [{ match: { path: '/**' }, split }],
      },
      '/next': { upstreams: [next], cacheTtl: 'off', limits: rates('1/1h', '1/1h') },
    },
  });
  const seen = [];
  for (let n = 0; n < 8; n += 1) {
    const { status, headers } = await call(`${gateway.external}/shop/x`, { headers: proUser(`user ${n}`) });
    seen.push({ status, policies: String(headers['ratelimit-policy']) });
  }
  expect(seen.every(({ policies }) => policies.startsWith('"service-address";q=6;'))).toBe(true);
  const limitedBy = (policy: string, service: string) =>
    gateway.metric('gateway_rate_limited_total', { policy: `service-${policy}`, service });
  // The address has had its six, of which the second side has refused all of its own but one.
  expect(seen.slice(6).map(({ status }) => status)).toEqual([429, 429]);
  expect(await limitedBy('address', '/shop')).toBe(2);
  expect(next.requests).toHaveLength(1);
  expect(shop.requests.length).toBeGreaterThan(0);
  expect(await limitedBy('service', '/next')).toBe(6 - shop.requests.length - 1);
  expect(await limitedBy('service', '/next')).toBeGreaterThan(0);
});

it('whoever asks first whether to send its content is refused before sending any', async () => {
  await using shop = await startUpstream();
  await using gateway = await startGateway({
    services: { '/shop': { upstreams: [shop], limits: { rate: { per: 'identity', limit: '1/1h' } } } },
  });
  const head = `PUT /shop/x HTTP/1.1\r\nHost: g\r\nAuthorization: ${ann.Authorization}\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n`;
  using admitted = await RawClient.to(gateway.external);
  admitted.send(head);
  await eventually('it may send', () => admitted.received.startsWith('HTTP/1.1 100 '));
  admitted.send('tea!');
  expect((await admitted.answer('PUT')).status).toBe(200);
  using refused = await RawClient.to(gateway.external);
  refused.send(head);
  const { status, field } = await refused.answer('PUT');
  expect([status, field('retry-after')]).toEqual([429, expect.stringMatching(/^\d+$/)]);
  expect(refused.received.startsWith('HTTP/1.1 429 ')).toBe(true);
  expect(shop.requests).toHaveLength(1);
});

it('several servers of Redis count exactly together, for two gateways', async () => {
  await using stack = new AsyncDisposableStack();
  const nodes = await Promise.all([startRedis(), startRedis(), startRedis()]);
  for (const node of nodes) stack.defer(() => node.stop());
  const shop = stack.use(await startUpstream());
  const REDIS_NODES = nodes.map(({ port }, n) => `node${n}:127.0.0.1:${port}`).join(',');
  const services = RATED_RULES.map(({ rule, rate }) => [
    `/${rule.replaceAll(' ', '-')}`,
    { upstreams: [shop], cacheTtl: 'off', limits: { rate: rate('20/1h'), concurrency: 1_000 } },
  ]);
  const options = {
    defaults: { limits: { rate: { per: 'service' as const, limit: '30/1h' } } },
    services: Object.fromEntries(services),
    env: { USE_REDIS_SHARDING: 'true', REDIS_NODES, GLOBAL_CONCURRENCY: '1000', FAIR_SHARE: '1' },
  };
  const gateways = [stack.use(await startGateway(options)), stack.use(await startGateway(options))];
  for (const [path] of services) {
    const responses = await Promise.all(
      Array.from({ length: 60 }, (_, n) => call(`${gateways[n % 2]?.external}${path}/x`, { headers: ann })),
    );
    const statuses = responses.map(({ status }) => status).sort();
    expect(statuses).toEqual([...Array(20).fill(200), ...Array(40).fill(429)]);
  }
  expect(await gateways[0]?.metric('gateway_rate_limit_errors_total')).toBe(0);
}, 60_000);
