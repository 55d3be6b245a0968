import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { createClient, type RedisClientType } from 'redis';
import { eventually } from '../../support/eventually.ts';
import { bearer, startGateway, type TestGateway, tokenFor } from '../../support/gateway/gateway.ts';
import { type RedisServer, startRedis } from '../../support/stores/redis.ts';
import { startUpstream, type Upstream } from '../../support/upstreams/upstream.ts';

const LOGOUTS = 1_000;
// Real sockets on a machine that may be busy.
jest.setTimeout(120_000);

/** A Redis of their own, so that the commands it counts are theirs. */
describe('two gateways on one Redis', () => {
  let redis: RedisServer;
  let raw: RedisClientType;
  let upstream: Upstream;
  let here: TestGateway;
  let there: TestGateway;

  beforeAll(async () => {
    redis = await startRedis();
    raw = createClient({ url: redis.url });
    await raw.connect();
    upstream = await startUpstream();
    const start = () =>
      startGateway({
        services: { '/budgeting': [upstream], '/userManagement': [upstream] },
        env: {
          REDIS_URL: redis.url,
          ADMIN_TOKEN: 'admin',
          PER_SERVICE_LIMIT: '100',
          GET_CACHE_TTL: 'off',
          LOG_LEVEL: 'error',
        },
      });
    [here, there] = [await start(), await start()];
  });
  afterAll(async () => {
    await here.stop();
    await there.stop();
    raw.destroy();
    await upstream[Symbol.asyncDispose]();
    await redis.stop();
  });

  /** The response cache is off: what Redis is asked is about tokens. */
  const use = async (gateway: TestGateway, token: string) => {
    const answer = await fetch(`${gateway.external}/budgeting/x`, { method: 'POST', headers: bearer(token) });
    await answer.arrayBuffer();
    return answer.status;
  };
  const logOut = async (token: string) => {
    const url = `${here.external}/userManagement/auth/logout`;
    const answer = await fetch(url, { method: 'POST', headers: bearer(token) });
    await answer.arrayBuffer();
    expect(answer.status).toBe(200);
  };

  /** Commands that the server has run so far, without those that nobody's request causes. */
  async function commands(): Promise<Record<string, number>> {
    const stats = await raw.info('commandstats');
    const calls = [...stats.matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm)].map(([, name, n]) => [
      name,
      Number(n),
    ]);
    return Object.fromEntries(calls.filter(([name]) => !['ping', 'hello', 'info'].includes(String(name))));
  }

  it('ask it nothing about tokens that they have seen', async () => {
    const tokens = Array.from({ length: 20 }, (_, n) => tokenFor(`user-${n}`));
    for (const token of tokens) expect([await use(here, token), await use(there, token)]).toEqual([200, 200]);
    // The first use of each was noted as active in the background.
    const before = await eventually('all is noted', async () => {
      const now = await commands();
      return now.set === 40 && now;
    });
    for (let n = 0; n < 1_000; n += 1) {
      expect(await use(n % 2 === 0 ? here : there, tokens[n % tokens.length] as string)).toBe(200);
    }
    expect(await commands()).toEqual(before);
  });

  it('ask it once each about all revocations after one of them', async () => {
    const tokens = Array.from({ length: 20 }, (_, n) => tokenFor(`user-${n}`));
    for (const token of tokens) expect([await use(here, token), await use(there, token)]).toEqual([200, 200]);
    const before = (await commands()).hgetall ?? 0;
    const answer = await fetch(`${here.internal}/admin/revocations`, {
      method: 'POST',
      headers: bearer('admin'),
      body: JSON.stringify({ jti: 'of-nobody' }),
    });
    expect(answer.status).toBe(201);
    for (const token of [...tokens, ...tokens]) {
      expect([await use(here, token), await use(there, token)]).toEqual([200, 200]);
    }
    expect(((await commands()).hgetall ?? 0) - before).toBeLessThanOrEqual(3);
  });

  it(`refuse what the other has logged out, ${LOGOUTS} times under load`, async () => {
    let loading = true;
    const load = [here, there].map(async (gateway) => {
      const token = tokenFor('busy');
      while (loading) expect(await use(gateway, token)).toBe(200);
    });
    const delaysMs: number[] = [];
    const clients = Array.from({ length: 4 }, async () => {
      for (let n = 0; n < LOGOUTS / 4; n += 1) {
        const token = tokenFor('leaving');
        expect(await use(there, token)).toBe(200);
        await logOut(token);
        const loggedOutAt = performance.now();
        while ((await use(there, token)) === 200);
        delaysMs.push(performance.now() - loggedOutAt);
      }
    });
    await Promise.all(clients);
    loading = false;
    await Promise.all(load);
    expect(delaysMs).toHaveLength(LOGOUTS);
    // The promise is 100 ms; the rest is for a machine that others use. It includes the request that is refused.
    expect(delaysMs.sort((a, b) => a - b)[LOGOUTS * 0.99]).toBeLessThan(1_000);
  });
});
