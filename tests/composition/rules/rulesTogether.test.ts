import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { ADMIN_TOKEN, makeKey, revokeKey, withKey } from '../../support/clients/apiKeys.ts';
import { answerTo, call, open } from '../../support/clients/client.ts';
import { eventually } from '../../support/eventually.ts';
import { bearer, type TestGatewayOptions, tokenFor } from '../../support/gateway/gateway.ts';
import { type GatewayProcess, startGatewayProcess } from '../../support/gateway/gatewayProcess.ts';
import { type RedisServer, startRedis } from '../../support/stores/redis.ts';
import { startUpstream, type Upstream } from '../../support/upstreams/upstream.ts';
import { proUser, RATED_RULES } from './ratedRules.ts';

// Gateways and Redis are processes.
jest.setTimeout(60_000);

const MOST = 30;
const TEXT = JSON.stringify(Array.from({ length: 500 }, (_, id) => ({ id, name: `item ${id}` })));

/** Where the rule of this name is. */
const pathOf = (rule: string) => `/${rule.replaceAll(' ', '-')}`;

/** One service for each rule, so that all of them are tried at the same gateways. */
function servicesAt(shop: Upstream, events: Upstream): TestGatewayOptions['services'] {
  const rated = RATED_RULES.map(({ rule, rate }) => [
    pathOf(rule),
    { upstreams: [shop], cacheTtl: 'off', limits: { rate: rate(`${MOST}/1h`), concurrency: 1_000 } },
  ]);
  return {
    ...Object.fromEntries(rated),
    '/keys': {
      upstreams: [shop],
      auth: { sources: ['apiKey'] },
      limits: { rate: { per: 'identity', limit: `${MOST}/1h` }, concurrency: 1_000 },
    },
    '/events': { upstreams: [events], auth: { sources: ['apiKey'] } },
    '/closed': { upstreams: [shop], deny: ['127.0.0.0/8'] },
    '/apart': {
      upstreams: [shop],
      cacheTtl: 'off',
      deny: ['192.0.2.1'],
      routes: [{ match: { path: '/no/**' }, allow: ['192.0.2.0/24'] }],
      limits: { concurrency: 1_000 },
    },
    '/open': {
      upstreams: [shop],
      auth: 'none',
      cacheTtl: 'off',
      limits: { rate: { per: 'address', limit: `${MOST}/1h` }, concurrency: 1_000 },
    },
    '/coded': { upstreams: [shop], auth: 'none', compress: 'on', cache: { ttl: '1h' } },
  };
}

interface Arrangement {
  readonly name: string;
  readonly gateways: number;
  readonly workers: number;
  readonly hasRedis: boolean;
}

const ARRANGEMENTS: readonly Arrangement[] = [
  { name: 'two threads without Redis', gateways: 1, workers: 2, hasRedis: false },
  { name: 'two threads on Redis', gateways: 1, workers: 2, hasRedis: true },
  { name: 'two gateways on one Redis', gateways: 2, workers: 1, hasRedis: true },
  { name: 'two gateways of two threads on one Redis', gateways: 2, workers: 2, hasRedis: true },
];

describe.each(ARRANGEMENTS)('$name', ({ gateways: count, workers, hasRedis }) => {
  const stack = new AsyncDisposableStack();
  let shop: Upstream;
  let gateways: GatewayProcess[];
  let redis: RedisServer | undefined;

  beforeAll(async () => {
    shop = stack.use(
      await startUpstream((_req, res) => {
        res.setHeader('Content-Type', 'application/json').setHeader('Cache-Control', 'public, max-age=600');
        res.end(TEXT);
      }),
    );
    const events = stack.use(
      await startUpstream((_req, res) => {
        res.writeHead(200, { 'Content-Type': 'text/event-stream' }).write('data: 0\n\n');
      }),
    );
    redis = hasRedis ? await startRedis() : undefined;
    stack.defer(async () => await redis?.stop());
    gateways = await Promise.all(
      Array.from({ length: count }, () =>
        startGatewayProcess({
          services: servicesAt(shop, events),
          env: {
            ADMIN_TOKEN,
            WORKERS: String(workers),
            GLOBAL_CONCURRENCY: '1000',
            FAIR_SHARE: '1',
            STORE_TIMEOUT: '2s',
            ...(redis ? { REDIS_URL: redis.url } : {}),
          },
        }),
      ),
    );
    for (const gateway of gateways) stack.use(gateway);
  });
  afterAll(() => stack.disposeAsync());

  /** So many requests at once, each on a connection of its own, over all gateways and their threads. */
  const sendAll = (path: string, times: number, headers: () => Record<string, string>) =>
    Promise.all(
      Array.from({ length: times }, (_, n) => {
        const { external } = gateways[n % gateways.length] as GatewayProcess;
        return call(`${external}${path}/${n}`, { headers: headers() });
      }),
    );
  const countsOf = (responses: readonly { readonly status: number }[]) => {
    const statuses = Object.groupBy(responses, ({ status }) => String(status));
    return Object.fromEntries(Object.entries(statuses).map(([status, each]) => [status, each?.length]));
  };
  const asked = (path: string) => shop.requests.filter(({ fields }) => fields.includes(path)).length;
  const anyGateway = () => gateways[0] as GatewayProcess;
  const otherGateway = () => gateways.at(-1) as GatewayProcess;

  it.each(RATED_RULES)('keep a rate $rule together, exactly', async ({ rule }) => {
    const path = pathOf(rule);
    const ann = proUser('ann');
    expect(countsOf(await sendAll(path, 3 * MOST, () => ann))).toEqual({ 200: MOST, 429: 2 * MOST });
    expect(asked(path)).toBe(MOST);
    // What refuses is known at all of them.
    expect(countsOf(await sendAll(path, 20, () => ann))).toEqual({ 429: 20 });
  });

  it('know an API key, count it together, and its end', async () => {
    const { key, id } = await makeKey(anyGateway().internal);
    await eventually('it is good there, too', async () => {
      const { status } = await call(`${otherGateway().external}/keys/x`, { headers: withKey(key) });
      return status === 200;
    });
    const counts = countsOf(await sendAll('/keys', 2 * MOST, () => withKey(key)));
    expect(counts[200]).toBeLessThan(MOST);
    expect((counts[200] ?? 0) + (counts[429] ?? 0)).toBe(2 * MOST);
    expect(asked('/keys')).toBe(MOST);
    await revokeKey(anyGateway().internal, id);
    await eventually('it is refused there, too', async () => {
      const { status } = await call(`${otherGateway().external}/keys/x`, { headers: withKey(key) });
      return status === 401;
    });
    expect(countsOf(await sendAll('/keys', 20, () => withKey(key)))).toEqual({ 401: 20 });
  });

  it('end the streams of an API key that is revoked, all of them', async () => {
    const { key, id } = await makeKey(anyGateway().internal);
    const other = await makeKey(anyGateway().internal);
    const url = ({ external }: GatewayProcess) => `${external}/events/x`;
    const isGood = async (gateway: GatewayProcess, text: string) =>
      (await call(`${gateway.external}/keys/x`, { headers: withKey(text) })).status === 200;
    for (const text of [key, other.key])
      await eventually('it is good there', () => isGood(otherGateway(), text));
    const streams = async (text: string, times: number) => {
      const opened = [];
      for (let n = 0; n < times; n += 1) {
        const gateway = gateways[n % gateways.length] as GatewayProcess;
        const response = await answerTo(open(url(gateway), { headers: withKey(text) }).end());
        expect(response.statusCode).toBe(200);
        opened.push(response.on('error', () => {}).resume());
      }
      return opened;
    };
    const [cut, kept] = [await streams(key, 12), await streams(other.key, 4)];
    await revokeKey(anyGateway().internal, id);
    await eventually('all are cut', () => cut.every(({ destroyed, complete }) => destroyed && !complete));
    expect(kept.some(({ destroyed }) => destroyed)).toBe(false);
    for (const response of kept) response.destroy();
  });

  it('keep addresses out, all of them', async () => {
    const ann = bearer(tokenFor('ann'));
    expect(countsOf(await sendAll('/closed', 20, () => ann))).toEqual({ 403: 20 });
    expect(countsOf(await sendAll('/apart', 20, () => ann))).toEqual({ 200: 20 });
    expect(countsOf(await sendAll('/apart/NO', 20, () => ann))).toEqual({ 403: 20 });
    expect([asked('/closed'), asked('/apart')]).toEqual([0, 20]);
  });

  it('ask once for a response, and code it for everybody', async () => {
    const codings = ['br', 'gzip', 'zstd', 'identity'] as const;
    const seen = new Set<string>();
    // By the name that all have, as behind a load balancer: responses to other names are others.
    const ask = ({ external }: GatewayProcess, headers: Record<string, string> = {}) =>
      call(`${external}/coded/x`, { headers: { Host: 'gateway.test', ...headers } });
    expect((await ask(anyGateway())).status).toBe(200);
    for (const gateway of gateways) {
      await eventually('it is stored', async () => {
        const { status } = await ask(gateway, { 'Cache-Control': 'only-if-cached' });
        return status === 200;
      });
    }
    for (let n = 0; n < 24; n += 1) {
      const gateway = gateways[n % gateways.length] as GatewayProcess;
      const coding = codings[Math.floor(n / 2) % codings.length] as string;
      const { headers, body } = await ask(gateway, { 'Accept-Encoding': coding });
      expect(headers['content-encoding']).toBe(coding === 'identity' ? undefined : coding);
      expect(headers.vary).toBe('Accept-Encoding');
      seen.add(`${coding} ${body.toString('base64')}`);
    }
    // The same bytes from each of them.
    expect(seen.size).toBe(codings.length);
    expect(asked('/coded')).toBe(1);
  });

  if (hasRedis) {
    it('count in each gateway, its threads together, while Redis is away', async () => {
      await redis?.kill();
      const most = MOST * gateways.length;
      const counts = countsOf(await sendAll('/open', 3 * most, () => ({})));
      expect(counts).toEqual({ 200: most, 429: 2 * most });
      expect(asked('/open')).toBe(most);
    });
  }
});
