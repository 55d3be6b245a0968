import { beforeEach, describe, expect, it, jest } from '@jest/globals';
import { eventually } from '../../support/eventually.ts';
import { bearer, STORES, startGateway, type TestGateway, tokenFor } from '../../support/gateway/gateway.ts';
import { expectProblem } from '../../support/gateway/problem.ts';
import { startRedis } from '../../support/stores/redis.ts';
import { emptyTestRedis } from '../../support/stores/storeProbe.ts';
import { startUpstream, type Upstream } from '../../support/upstreams/upstream.ts';

// Real processes on a machine that may be busy.
jest.setTimeout(30_000);

/** So that only rates limit. */
const ROOM = { PER_SERVICE_LIMIT: '1000', GLOBAL_CONCURRENCY: '1000' };

beforeEach(emptyTestRedis);

async function startPair(options: {
  readonly store: (typeof STORES)[number];
  readonly env: Record<string, string>;
  readonly gateways?: number;
}): Promise<AsyncDisposable & { gateways: TestGateway[]; gateway: TestGateway; upstream: Upstream }> {
  const stack = new AsyncDisposableStack();
  const upstream = stack.use(await startUpstream());
  const services = { '/budgeting': [upstream], '/userManagement': [upstream] };
  const gateways: TestGateway[] = [];
  for (let n = 0; n < (options.gateways ?? 1); n += 1) {
    const env = { ...ROOM, ...options.env };
    gateways.push(stack.use(await startGateway({ services, store: options.store, env })));
  }
  const dispose = () => stack.disposeAsync();
  return { gateways, gateway: gateways[0] as TestGateway, upstream, [Symbol.asyncDispose]: dispose };
}

const get = (origin: string, path: string, fields: Record<string, string>) =>
  fetch(`${origin}${path}`, { headers: fields });

const login = ({ external }: TestGateway, fields: Record<string, string> = {}) =>
  fetch(`${external}/userManagement/auth/login`, { method: 'POST', headers: fields });

describe.each(STORES)('rate limits with the %s store', (store) => {
  it('refuse an identity that has had its requests, on every service, and nobody else', async () => {
    await using pair = await startPair({ store, env: { RATE_LIMIT_PER_IDENTITY: '2/1m' } });
    const { gateway, upstream } = pair;
    const [ann, bob] = [bearer(tokenFor('ann')), bearer(tokenFor('bob'))];
    const first = await get(gateway.external, '/budgeting/x', ann);
    expect(first.headers.get('RateLimit-Policy')).toBe('"identity";q=2;w=60');
    expect(first.headers.get('RateLimit')).toMatch(/^"identity";r=1;t=(30|29)$/);
    expect((await get(gateway.external, '/userManagement/x', bearer(tokenFor('ann')))).status).toBe(200);

    const refused = await get(gateway.external, '/budgeting/y', ann);
    const retryAfter = Number(refused.headers.get('Retry-After'));
    expect(retryAfter).toBeGreaterThan(15);
    expect(retryAfter).toBeLessThanOrEqual(30);
    expect(refused.headers.get('RateLimit')).toMatch(/^"identity";r=0;t=[3-6]\d$/);
    await expectProblem(refused, 'rate_limited', { retryAfter });
    expect((await get(gateway.external, '/budgeting/x', bob)).status).toBe(200);
    expect(upstream.requests).toHaveLength(3);
    const labels = { policy: 'identity', service: '/budgeting' };
    expect(await gateway.metric('gateway_rate_limited_total', labels)).toBe(1);
    expect(await gateway.metric('gateway_rate_limited_total')).toBe(1);
  });

  it('refuse an address, also at the login, and before a token is looked at', async () => {
    await using pair = await startPair({ store, env: { RATE_LIMIT_PER_ADDRESS: '3/1m' } });
    const { gateway } = pair;
    expect((await login(gateway)).status).toBe(200);
    expect((await get(gateway.external, '/budgeting/x', bearer(tokenFor('ann')))).status).toBe(200);
    expect((await get(gateway.external, '/budgeting/x', {})).status).toBe(401);
    const refused = await login(gateway, { 'X-Forwarded-For': '192.0.2.1' });
    expect(refused.status).toBe(429);
    expect(await gateway.metric('gateway_jwt_validation_errors_total')).toBe(1);
    expect((await get(gateway.external, '/budgeting/x', {})).status).toBe(429);
    expect(await gateway.metric('gateway_jwt_validation_errors_total')).toBe(1);
    expect(await gateway.metric('gateway_rate_limited_total', { policy: 'address' })).toBe(2);
  });

  it('take the address from a trusted proxy, IPv6 by /64', async () => {
    const env = { RATE_LIMIT_PER_ADDRESS: '1/1m', TRUSTED_PROXIES: '127.0.0.1' };
    await using pair = await startPair({ store, env });
    const statusFrom = async (address: string) =>
      (await login(pair.gateway, { 'X-Forwarded-For': address })).status;
    expect(await statusFrom('192.0.2.1')).toBe(200);
    expect(await statusFrom('192.0.2.1')).toBe(429);
    expect(await statusFrom('192.0.2.2')).toBe(200);
    expect(await statusFrom('2001:db8:0:1::1')).toBe(200);
    expect(await statusFrom('2001:db8:0:1::2')).toBe(429);
    expect(await statusFrom('2001:db8:0:2::1')).toBe(200);
  });

  it('count a response from the cache, which keeps no word of an earlier count', async () => {
    await using pair = await startPair({ store, env: { RATE_LIMIT_PER_IDENTITY: '3/1m' } });
    const ann = bearer(tokenFor('ann'));
    const answers = [];
    for (let n = 0; n < 4; n += 1) answers.push(await get(pair.gateway.external, '/budgeting/x', ann));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 429]);
    expect(answers.map(({ headers }) => headers.get('X-Cache'))).toEqual(['MISS', 'HIT', 'HIT', null]);
    const left = answers.map(({ headers }) => headers.get('RateLimit')?.replace(/;t=\d+$/, ''));
    expect(left).toEqual([2, 1, 0, 0].map((r) => `"identity";r=${r}`));
  });

  it('leave services that call each other alone', async () => {
    const env = { RATE_LIMIT_PER_IDENTITY: '1/1m', RATE_LIMIT_PER_ADDRESS: '1/1m' };
    await using pair = await startPair({ store, env });
    for (let n = 0; n < 3; n += 1) {
      const answer = await get(pair.gateway.internal, '/internal/budgeting/x', bearer(tokenFor('ann')));
      expect([answer.status, answer.headers.get('RateLimit')]).toEqual([200, null]);
    }
  });

  it('are off by default', async () => {
    await using pair = await startPair({ store, env: {} });
    const answer = await get(pair.gateway.external, '/budgeting/x', bearer(tokenFor('ann')));
    expect(answer.headers.get('RateLimit-Policy')).toBeNull();
  });
});

describe('two gateways on one Redis', () => {
  it('let exactly as many requests of one identity pass as one would, however they come', async () => {
    const env = { RATE_LIMIT_PER_IDENTITY: '60/1m' };
    await using pair = await startPair({ store: 'redis', env, gateways: 2 });
    const ann = bearer(tokenFor('ann'));
    const callers = Array.from({ length: 300 }, async (_, n) => {
      const { external } = pair.gateways[n % 2] as TestGateway;
      const answer = await get(external, `/budgeting/${n}`, ann);
      await answer.text();
      return answer.status;
    });
    const statuses = await Promise.all(callers);
    expect(statuses.filter((status) => status === 200)).toHaveLength(60);
    expect(statuses.filter((status) => status === 429)).toHaveLength(240);
    expect(pair.upstream.requests).toHaveLength(60);
  });
});

it('count in each gateway while Redis is away, say so, and go back to it', async () => {
  const stack = new AsyncDisposableStack();
  await using _ = stack;
  const redis = await startRedis();
  stack.defer(() => redis.stop());
  const env = { REDIS_URL: redis.url, RATE_LIMIT_PER_ADDRESS: '5/1m', STORE_TIMEOUT: '500ms' };
  const pair = stack.use(await startPair({ store: 'embedded', env, gateways: 2 }));
  const errors = async () => (await pair.gateway.metric('gateway_rate_limit_errors_total')) > 0;
  expect((await login(pair.gateway)).status).toBe(200);
  expect(await errors()).toBe(false);

  await redis.kill();
  const { gateways } = pair;
  for (const gateway of gateways) {
    const statuses = [];
    for (let n = 0; n < 7; n += 1) statuses.push((await login(gateway)).status);
    // The first may still have found Redis, or the loss of it.
    expect(statuses.filter((status) => status === 200)).toHaveLength(5);
    expect(statuses.at(-1)).toBe(429);
  }
  expect(await errors()).toBe(true);
  // Once in ten seconds, not once a request.
  const told = pair.gateway.logLines().filter(({ message }) => message === 'The store does not answer');
  expect(told).toHaveLength(1);

  await redis.restart();
  await eventually('Redis counts again', async () => {
    return (await pair.gateway.gateway.parts.stores.trouble()) === undefined;
  });
  expect((await login(pair.gateway)).status).toBe(200);
});
