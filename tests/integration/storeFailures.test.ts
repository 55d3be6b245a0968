import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { createClient } from 'redis';
import { eventually } from '../support/eventually.ts';
import { bearer, startGateway, type TestGateway, tokenFor } from '../support/gateway.ts';
import { expectProblem } from '../support/problem.ts';
import { type RedisServer, startRedis } from '../support/redis.ts';
import { type RedisRelay, startRedisRelay } from '../support/redisRelay.ts';
import { sendJson, startUpstream, type Upstream } from '../support/upstream.ts';

// Real processes on a machine that may be busy.
jest.setTimeout(30_000);
const token = tokenFor('ann');

const get = (gateway: TestGateway, path = '/budgeting/x', bearing = token) =>
  fetch(`${gateway.external}${path}`, { headers: bearer(bearing) });
const logout = (gateway: TestGateway, bearing: string) =>
  fetch(`${gateway.external}/userManagement/auth/logout`, { method: 'POST', headers: bearer(bearing) });

/** Longer than any wait for an answer here. */
const LATE_MS = 700;

interface Harm {
  readonly name: string;
  hurt(redis: RedisServer, relay: RedisRelay): Promise<void> | void;
  heal(redis: RedisServer, relay: RedisRelay): Promise<void> | void;
}

const HARMS: readonly Harm[] = [
  { name: 'killed', hurt: (redis) => redis.kill(), heal: (redis) => redis.restart() },
  { name: 'frozen', hurt: (redis) => redis.freeze(), heal: (redis) => redis.thaw() },
  {
    name: 'cut off by a network that drops everything',
    hurt: (_, relay) => relay.drop(),
    heal: (_, relay) => relay.heal(),
  },
  { name: 'late', hurt: (_, relay) => relay.delay(LATE_MS), heal: (_, relay) => relay.heal() },
];

describe.each(HARMS)('a Redis that is $name', (harm) => {
  let redis: RedisServer;
  let relay: RedisRelay;
  let upstream: Upstream;

  beforeAll(async () => {
    redis = await startRedis();
    relay = await startRedisRelay(redis.port);
    upstream = await startUpstream();
  });
  afterEach(async () => {
    await heal();
  });
  afterAll(async () => {
    await relay[Symbol.asyncDispose]();
    await redis.stop();
    await upstream[Symbol.asyncDispose]();
  });

  const hurt = async () => harm.hurt(redis, relay);
  const heal = async () => harm.heal(redis, relay);

  const start = (env: Record<string, string> = {}) =>
    startGateway({
      services: { '/budgeting': [upstream], '/userManagement': [upstream] },
      env: { REDIS_URL: relay.url, STORE_TIMEOUT: '100ms', ...env },
    });

  it('leaves nobody in who needs a check, and lets them in again when it is back', async () => {
    await using gateway = await start();
    expect((await get(gateway)).status).toBe(200);
    await hurt();
    await eventually(
      'it is noticed',
      async () => (await get(gateway, `/budgeting/${Math.random()}`)).status === 503,
    );
    const before = upstream.requests.length;
    // A token seen before and one seen never; the answers the cache knew are of no use either.
    await expectProblem(await get(gateway), 'store_unavailable');
    await expectProblem(await get(gateway, '/budgeting/y', tokenFor('bob')), 'store_unavailable');
    expect(upstream.requests).toHaveLength(before);
    // Who needs no token, and the other port, notice nothing.
    expect((await fetch(`${gateway.internal}/internal/budgeting/x`)).status).toBe(200);
    expect((await fetch(`${gateway.external}/userManagement/auth/login`, { method: 'POST' })).status).toBe(
      200,
    );
    await heal();
    await eventually('it is back', async () => (await get(gateway)).status === 200);
  });

  it('costs nothing once it is known: no request waits for it', async () => {
    await using gateway = await start({ STORE_TIMEOUT: '300ms' });
    await hurt();
    await eventually('it is noticed', async () => (await fetch(`${gateway.external}/readyz`)).status === 503);
    const at = performance.now();
    for (let n = 0; n < 20; n += 1) await (await get(gateway, `/budgeting/${n}`)).text();
    // Twenty waits would be 6 s.
    expect(performance.now() - at).toBeLessThan(2_000);
  });

  it('with AUTH_STORE_FAILURE=allow lets a good signature in, and nothing else', async () => {
    await using gateway = await start({ AUTH_STORE_FAILURE: 'allow' });
    await hurt();
    await eventually('it is noticed', async () => (await fetch(`${gateway.external}/readyz`)).status === 503);
    expect((await get(gateway, '/budgeting/z', tokenFor('bob'))).status).toBe(200);
    await expectProblem(await get(gateway, '/budgeting/z', 'nonsense'), 'token_invalid');
    await expectProblem(await get(gateway, '/budgeting/z', tokenFor('ann', { exp: 1_000 })), 'token_expired');
    expect(await gateway.metric('gateway_cache_errors_total')).toBeGreaterThan(0);
  });

  it('never makes a logout look done', async () => {
    const leaving = tokenFor('carol');
    await using gateway = await start({ AUTH_STORE_FAILURE: 'allow' });
    expect((await get(gateway, '/budgeting/x', leaving)).status).toBe(200);
    await hurt();
    const before = upstream.requests.length;
    await expectProblem(await logout(gateway, leaving), 'store_unavailable');
    expect(upstream.requests).toHaveLength(before);
    await heal();
    // A frozen Redis has the command still to come: the retry may find the token revoked.
    await eventually('the logout succeeds', async () =>
      [200, 401].includes((await logout(gateway, leaving)).status),
    );
    await expectProblem(await get(gateway, '/budgeting/x', leaving), 'token_revoked');
  });

  it('says so in the log, once for many requests', async () => {
    await using gateway = await start();
    await hurt();
    for (let n = 0; n < 30; n += 1) await get(gateway, `/budgeting/${n}`);
    const warnings = gateway.logLines().filter(({ level }) => level === 'warn' || level === 'error');
    expect(warnings.length).toBeGreaterThan(0);
    expect(warnings.length).toBeLessThan(6);
  });

  it('forgets nothing that was revoked meanwhile: who is let in again is asked about first', async () => {
    await using gateway = await start({ ADMIN_TOKEN: 'admin' });
    const [leaving, banned, staying] = [tokenFor('carol'), tokenFor('dan', { iat: 1_000 }), tokenFor('eve')];
    for (const known of [leaving, banned, staying])
      expect((await get(gateway, '/budgeting/x', known)).status).toBe(200);
    await hurt();
    // Not by /readyz, which a single late PING is enough for: a hot token is refused once the connection is given up.
    await eventually(
      'it is noticed',
      async () => (await get(gateway, '/budgeting/x', staying)).status === 503,
    );
    for (const known of [leaving, banned, staying]) {
      await expectProblem(await get(gateway, '/budgeting/x', known), 'store_unavailable');
    }
    // Another gateway, that the network does not separate from Redis, is told while this one is not.
    if (harm.name !== 'killed' && harm.name !== 'frozen') {
      await using other = await start({ REDIS_URL: redis.url, STORE_TIMEOUT: '2s', ADMIN_TOKEN: 'admin' });
      expect((await logout(other, leaving)).status).toBe(200);
      expect((await ban(other, 'dan')).status).toBe(201);
    }
    await heal();
    if (harm.name === 'killed' || harm.name === 'frozen') {
      await eventually('the logout succeeds', async () => (await logout(gateway, leaving)).status === 200);
      expect((await ban(gateway, 'dan')).status).toBe(201);
    }
    await eventually('it is back', async () => (await get(gateway, '/budgeting/x', staying)).status === 200);
    await expectProblem(await get(gateway, '/budgeting/x', leaving), 'token_revoked');
    await expectProblem(await get(gateway, '/budgeting/x', banned), 'token_revoked');
  });

  it('under load: answers go on, and full service is back soon after it', async () => {
    await using gateway = await start({ STORE_TIMEOUT: '300ms' });
    const load = startLoad(gateway);
    const answersSince = (startedAt: number) =>
      eventually('many answers', () => {
        const answers = load.answers.filter((answer) => answer.startedAt >= startedAt);
        return answers.length > 300 && answers;
      });
    const before = await answersSince(0);
    await hurt();
    await eventually('it is noticed', async () => (await get(gateway)).status === 503);
    const during = await answersSince(performance.now());
    await heal();
    const healedAt = performance.now();
    await eventually('it is back', async () => (await get(gateway)).status === 200);
    const backAfterMs = performance.now() - healedAt;
    await load.stop();

    expect(new Set(before.map(({ status }) => status))).toEqual(new Set([200]));
    expect(new Set(during.map(({ status }) => status))).toEqual(new Set([503]));
    // Both promises, 2 x and 2 s, with room for a machine that others use: none waits for the store any more.
    expect(p99(during)).toBeLessThan(Math.max(10 * p99(before), 100));
    expect(backAfterMs).toBeLessThan(10_000);
  });
});

const ban = (gateway: TestGateway, subject: string) =>
  fetch(`${gateway.internal}/admin/revocations`, {
    method: 'POST',
    headers: bearer('admin'),
    body: JSON.stringify({ subject }),
  });

interface LoadAnswer {
  readonly status: number;
  readonly startedAt: number;
  readonly ms: number;
}

/** Eight clients who ask one after another: hot tokens, and some that were never seen. */
function startLoad(gateway: TestGateway) {
  const answers: LoadAnswer[] = [];
  let loading = true;
  const clients = Array.from({ length: 8 }, async (_, client) => {
    for (let n = 0; loading; n += 1) {
      const bearing = n % 10 === 0 ? tokenFor('bob') : token;
      const startedAt = performance.now();
      const answer = await get(gateway, `/budgeting/${client}/${n}`, bearing);
      await answer.arrayBuffer();
      answers.push({ status: answer.status, startedAt, ms: performance.now() - startedAt });
    }
  });
  return {
    answers,
    async stop() {
      loading = false;
      await Promise.all(clients);
    },
  };
}

function p99(answers: readonly LoadAnswer[]): number {
  const sorted = answers.map(({ ms }) => ms).sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length * 0.99)] ?? 0;
}

describe('a Redis that is full and evicts nothing', () => {
  it('lets users in, refuses to log out, and works again when there is room', async () => {
    const redis = await startRedis({ args: ['--maxmemory-policy', 'noeviction'] });
    await using stack = new AsyncDisposableStack();
    stack.defer(() => redis.stop());
    const raw = await createClient({ url: redis.url }).connect();
    stack.defer(() => raw.destroy());
    await using users = await startUpstream((req, res) => {
      if (req.url === '/auth/login') sendJson(res, { access_token: tokenFor('ann') });
      else res.end('ok');
    });
    await using gateway = await startGateway({
      services: { '/budgeting': [users], '/userManagement': [users] },
      env: { REDIS_URL: redis.url, ADMIN_TOKEN: 'admin' },
    });
    expect((await get(gateway)).status).toBe(200);
    await raw.configSet('maxmemory', '1');
    const before = users.requests.length;
    await expectProblem(await logout(gateway, token), 'store_unavailable');
    await expectProblem(await ban(gateway, 'ann'), 'store_unavailable');
    expect(users.requests).toHaveLength(before);
    // Reading is all that it takes to let somebody in.
    for (const bearing of [token, tokenFor('bob')]) {
      expect((await get(gateway, '/budgeting/y', bearing)).status).toBe(200);
    }
    expect((await fetch(`${gateway.external}/userManagement/auth/login`, { method: 'POST' })).status).toBe(
      200,
    );
    await raw.configSet('maxmemory', '0');
    expect((await logout(gateway, token)).status).toBe(200);
    await expectProblem(await get(gateway), 'token_revoked');
  });
});

describe('a Redis that is 200 ms late, with the default STORE_TIMEOUT', () => {
  it('is given up at once, and taken back when it answers in time', async () => {
    const redis = await startRedis();
    await using stack = new AsyncDisposableStack();
    stack.defer(() => redis.stop());
    await using relay = await startRedisRelay(redis.port);
    await using upstream = await startUpstream();
    await using gateway = await startGateway({
      services: { '/budgeting': [upstream] },
      env: { REDIS_URL: relay.url, STORE_TIMEOUT: '50ms' },
    });
    await eventually('it serves', async () => (await get(gateway)).status === 200);
    relay.delay(200);
    await eventually('it is noticed', async () => (await get(gateway)).status === 503);
    await expectProblem(await get(gateway, '/budgeting/y', tokenFor('bob')), 'store_unavailable');
    relay.heal();
    await eventually('it is back', async () => (await get(gateway)).status === 200);
  });
});
