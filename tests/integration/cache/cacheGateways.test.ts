import { beforeEach, describe, expect, it } from '@jest/globals';
import { cacheAdmin } from '../../../lib/cache/admin.ts';
import { call } from '../../support/clients/client.ts';
import { eventually } from '../../support/eventually.ts';
import { bareApp } from '../../support/gateway/bareApp.ts';
import { bearer, STORES, startGateway, type TestGateway, tokenFor } from '../../support/gateway/gateway.ts';
import { emptyTestRedis } from '../../support/stores/storeProbe.ts';
import { startUpstream } from '../../support/upstreams/upstream.ts';

const ann = tokenFor('ann');
const bob = tokenFor('bob');

/** By the name that all gateways have, as behind a load balancer: responses to other names are others. */
const get = (gateway: TestGateway, path: string, token = ann) =>
  call(`${gateway.external}${path}`, { headers: { Host: 'gateway.test', ...bearer(token) } });

const isHit = async (gateway: TestGateway, path: string, token = ann) => {
  const answer = await get(gateway, path, token);
  return answer.headers['x-cache'] === 'HIT';
};

beforeEach(emptyTestRedis);

it('ten gateways on one Redis make one call', async () => {
  const stack = new AsyncDisposableStack();
  await using _ = stack;
  let release = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  const upstream = stack.use(
    await startUpstream(async (_req, res) => {
      await held;
      res.end('once');
    }),
  );
  const gateways: TestGateway[] = [];
  for (let n = 0; n < 10; n += 1) {
    const options = {
      services: { '/budgeting': [upstream] },
      store: 'redis',
      env: { REQUEST_TIMEOUT: '30s' },
    } as const;
    gateways.push(stack.use(await startGateway(options)));
  }
  const answers = gateways.map((gateway) => get(gateway, '/budgeting/x'));
  await eventually('the call', () => upstream.requests.length > 0);
  release();
  expect(await Promise.all(answers.map(async (answer) => String((await answer).body)))).toEqual(
    Array(10).fill('once'),
  );
  expect(upstream.requests).toHaveLength(1);
});

it('a lease whose holder has died holds nobody up for long', async () => {
  await using upstream = await startUpstream();
  await using gateway = await startGateway({ services: { '/budgeting': [upstream] }, store: 'redis' });
  const { responses } = gateway.gateway.parts.stores;
  const { swap } = responses;
  // Every lease is somebody else's.
  responses.swap = async (key, expected, value, ttlMs) => {
    const inForce = await swap.call(responses, key, expected, value, ttlMs);
    return key.startsWith('cache:lease:') ? Buffer.from('another gateway') : inForce;
  };
  expect(String((await get(gateway, '/budgeting/x')).body)).toBe('ok');
});

describe.each(STORES)('a purge in the %s store', (store) => {
  const PUBLIC = { 'Cache-Control': 'public, max-age=600' };

  async function startPair() {
    const stack = new AsyncDisposableStack();
    const upstream = stack.use(
      await startUpstream((req, res) => {
        const tag = new URL(req.url ?? '', 'http://a').searchParams.get('tag');
        res.writeHead(200, { ...PUBLIC, ...(tag && { 'Cache-Tag': `all, ${tag}` }) }).end('ok');
      }),
    );
    const services = { '/budgeting': [upstream], '/other': [upstream] };
    const one = stack.use(await startGateway({ services, store }));
    const two = store === 'redis' ? stack.use(await startGateway({ services, store })) : one;
    const { responses } = one.gateway.parts.stores;
    const admin = stack.use(await bareApp(cacheAdmin({ store: responses })));
    const purge = (body: unknown) =>
      fetch(new URL('/purge', admin.url), { method: 'POST', body: JSON.stringify(body) });
    return { one, two, purge, [Symbol.asyncDispose]: () => stack.disposeAsync() };
  }

  const PATHS = ['/budgeting/a', '/budgeting/a?x=1', '/budgeting/a/b', '/budgeting/c?tag=red', '/other/a'];

  it.each([
    { target: { url: '/budgeting/a' }, gone: ['/budgeting/a', '/budgeting/a?x=1'] },
    { target: { url: 'http://gateway.test/budgeting/a?x=1' }, gone: ['/budgeting/a', '/budgeting/a?x=1'] },
    { target: { prefix: '/budgeting/a' }, gone: ['/budgeting/a', '/budgeting/a?x=1', '/budgeting/a/b'] },
    { target: { service: '/budgeting' }, gone: PATHS.slice(0, 4) },
    { target: { tag: 'red' }, gone: ['/budgeting/c?tag=red'] },
    { target: { tag: 'all' }, gone: ['/budgeting/c?tag=red'] },
    { target: { tag: 'unknown' }, gone: [] },
  ])('of $target reaches every gateway and every reader', async ({ target, gone }) => {
    await using world = await startPair();
    for (const path of PATHS) {
      await eventually('it is stored', () => isHit(world.one, path));
      await eventually('it is found', () => isHit(world.two, path, bob));
    }
    expect((await world.purge(target)).status).toBe(204);
    for (const path of PATHS) {
      const isGone = gone.includes(path);
      if (isGone) await eventually(`${path} is gone`, async () => !(await isHit(world.two, path, bob)));
      else expect(await isHit(world.two, path, bob)).toBe(true);
    }
    for (const path of gone) await eventually('it is stored anew', () => isHit(world.one, path));
  });

  it.each([
    'nonsense',
    {},
    [],
    { url: '/a', tag: 'b' },
    { everything: true },
    { tag: '' },
    { prefix: 'budgeting' },
    { url: 'budgeting' },
    { service: 5 },
  ])('of %j is refused with what is accepted', async (body) => {
    await using world = await startPair();
    const answer = await world.purge(body);
    expect(answer.status).toBe(400);
    expect(answer.headers.get('Content-Type')).toMatch(/^application\/problem\+json/);
    expect(((await answer.json()) as { detail: string }).detail).toMatch(/expected/);
  });
});
