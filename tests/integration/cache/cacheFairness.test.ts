import { beforeEach, describe, expect, it, jest } from '@jest/globals';
import { createClient } from 'redis';
import { eventually } from '../../support/eventually.ts';
import {
  bearer,
  redisTestUrl,
  STORES,
  startGateway,
  type TestGateway,
  tokenFor,
} from '../../support/gateway/gateway.ts';
import { emptyTestRedis } from '../../support/stores/storeProbe.ts';
import { startUpstream } from '../../support/upstreams/upstream.ts';

jest.setTimeout(120_000);

const HITS = 40;
const FLOOD = 1_500;
/** Below the ten permits of the service. */
const AT_A_TIME = 8;

const ann = tokenFor('ann');
const mallory = tokenFor('mallory');

beforeEach(emptyTestRedis);

/** What is asked for below `/missing` is not there; all else is, and private. */
async function startWorld(store: (typeof STORES)[number]) {
  const stack = new AsyncDisposableStack();
  const upstream = stack.use(
    await startUpstream((req, res) => {
      res.writeHead(req.url?.startsWith('/missing') ? 404 : 200, { 'Content-Length': 100 });
      res.end('x'.repeat(100));
    }),
  );
  // A tenth of what all that is asked for would take.
  const env = { CACHE_MAX_BYTES: '256KiB', CACHE_MAX_ENTRY_BYTES: '16KiB', GET_CACHE_TTL: '10m' };
  const gateway = stack.use(await startGateway({ services: { '/up': [upstream] }, store, env }));
  return { gateway, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

async function verdictOf({ external }: TestGateway, path: string, token: string): Promise<string | null> {
  const answer = await fetch(`${external}${path}`, { headers: bearer(token) });
  await answer.arrayBuffer();
  return answer.headers.get('X-Cache');
}

async function hitsOf(gateway: TestGateway, token: string): Promise<number> {
  let hits = 0;
  for (let n = 0; n < HITS; n += 1) {
    if ((await verdictOf(gateway, `/up/own/${n}`, token)) === 'HIT') hits += 1;
  }
  return hits;
}

async function flood(gateway: TestGateway, path: string): Promise<void> {
  for (let n = 0; n < FLOOD; n += AT_A_TIME) {
    await Promise.all(
      Array.from({ length: AT_A_TIME }, (_, i) => verdictOf(gateway, `${path}/${n + i}`, mallory)),
    );
  }
}

describe.each(STORES)('what one caller asks for, with the %s store,', (store) => {
  it.each(['/up/missing', '/up/there'])(
    'takes nothing stored for another away: 1,500 of %s',
    async (path) => {
      await using world = await startWorld(store);
      await eventually('it is stored', async () => (await hitsOf(world.gateway, ann)) === HITS);
      await flood(world.gateway, path);
      expect(await hitsOf(world.gateway, ann)).toBe(HITS);
    },
  );

  it('does not keep from being stored what another asks for afterwards', async () => {
    await using world = await startWorld(store);
    await flood(world.gateway, '/up/there');
    await eventually('it is stored', async () => (await hitsOf(world.gateway, ann)) === HITS);
  });
});

it('nothing is left in Redis of what is not stored', async () => {
  await using world = await startWorld('redis');
  for (let n = 0; n < 50; n += 1) await verdictOf(world.gateway, `/up/missing/${n}`, ann);
  const redis = await createClient({ url: redisTestUrl() }).connect();
  try {
    await eventually('no key is left', async () => (await redis.keys('cache:*')).length === 0);
  } finally {
    await redis.close();
  }
});
