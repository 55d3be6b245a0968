import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { eventually } from '../../support/eventually.ts';
import { bearer, startGateway, type TestGateway, tokenFor } from '../../support/gateway/gateway.ts';
import { awayHarms, FULL, type StorePlace, startStorePlace } from '../../support/stores/storeHarms.ts';
import { startUpstream, type Upstream } from '../../support/upstreams/upstream.ts';

jest.setTimeout(60_000);

const token = tokenFor('ann');
const STORE_TIMEOUT_MS = 100;
const REQUESTS = 30;

let place: StorePlace;
let upstream: Upstream;

beforeAll(async () => {
  place = await startStorePlace();
  let answers = 0;
  upstream = await startUpstream((_req, res) => {
    answers += 1;
    res.end(`answer ${answers}`);
  });
});
afterAll(async () => {
  await place[Symbol.asyncDispose]();
  await upstream[Symbol.asyncDispose]();
});

const get = async (gateway: TestGateway, path: string) => {
  const answer = await fetch(`${gateway.external}${path}`, { headers: bearer(token) });
  return {
    status: answer.status,
    body: await answer.text(),
    said: answer.headers.get('Cache-Status'),
    cache: answer.headers.get('X-Cache'),
  };
};

/** How long `act` takes so many times, one after another. */
async function durationOf(times: number, act: () => Promise<void>): Promise<number> {
  const startedAtMs = performance.now();
  for (let n = 0; n < times; n += 1) await act();
  return performance.now() - startedAtMs;
}

/** Whether an answer is stored and found again. */
async function caches(gateway: TestGateway): Promise<boolean> {
  const path = `/budgeting/${Math.random()}`;
  await get(gateway, path);
  return (await get(gateway, path)).cache === 'HIT';
}

describe.each(awayHarms(200))('with a Redis that is $name', ({ hurt, heal }) => {
  afterEach(() => heal(place));

  it('every request is answered as if there was no cache, soon, and it comes back by itself', async () => {
    await using gateway = await startGateway({
      services: { '/budgeting': [upstream] },
      env: {
        REDIS_URL: place.url,
        STORE_TIMEOUT: `${STORE_TIMEOUT_MS}ms`,
        AUTH_STORE_FAILURE: 'allow',
      },
    });
    expect(await eventually('it caches', () => caches(gateway))).toBe(true);
    const kept = '/budgeting/kept';
    await get(gateway, kept);
    await eventually('it is kept', async () => (await get(gateway, kept)).cache === 'HIT');

    await hurt(place);
    const statuses = new Set<number>();
    await eventually('the cache stands aside', async () => {
      const { status, said } = await get(gateway, `/budgeting/${Math.random()}`);
      statuses.add(status);
      return said === 'gateway; fwd=bypass';
    });
    await eventually('the store counts as away', async () => {
      const startedAtMs = performance.now();
      statuses.add((await get(gateway, kept)).status);
      return performance.now() - startedAtMs < STORE_TIMEOUT_MS / 2;
    });
    const withoutStoreMs = await durationOf(REQUESTS, async () => {
      expect((await fetch(`${gateway.internal}/internal${kept}`)).status).toBe(200);
    });
    const tookMs = await durationOf(REQUESTS, async () => {
      const { status, body } = await get(gateway, kept);
      statuses.add(status);
      expect(body).toMatch(/^answer \d+$/);
    });
    // Half of a wait for the store each, beside what requests take that know no store, on a machine that may be busy.
    expect(tookMs).toBeLessThan(2 * withoutStoreMs + (REQUESTS * STORE_TIMEOUT_MS) / 2);
    expect([...statuses]).toEqual([200]);
    expect(await gateway.metric('gateway_cache_errors_total', { service: '/budgeting' })).toBeGreaterThan(0);

    await heal(place);
    await eventually('it caches again', () => caches(gateway));
  });
});

it('with a Redis that is full, what is stored is used still and nothing is lost but new answers', async () => {
  await using gateway = await startGateway({
    services: { '/budgeting': [upstream] },
    env: { REDIS_URL: place.url, STORE_TIMEOUT: '2s' },
  });
  const kept = '/budgeting/before';
  await get(gateway, kept);
  await eventually('it is kept', async () => (await get(gateway, kept)).cache === 'HIT');
  await FULL.hurt(place);
  try {
    expect((await get(gateway, kept)).cache).toBe('HIT');
    for (let n = 0; n < 5; n += 1)
      expect(await get(gateway, '/budgeting/later')).toMatchObject({ status: 200 });
    expect(await gateway.metric('gateway_cache_errors_total')).toBeGreaterThan(0);
    // What makes answers void takes no memory.
    const changed = await fetch(`${gateway.external}${kept}`, { method: 'POST', headers: bearer(token) });
    expect(changed.status).toBe(200);
    expect((await get(gateway, kept)).cache).not.toBe('HIT');
  } finally {
    await FULL.heal(place);
  }
  await eventually('it caches again', () => caches(gateway));
});
