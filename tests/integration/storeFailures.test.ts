import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { eventually } from '../support/eventually.ts';
import { bearer, startGateway, type TestGateway, tokenFor } from '../support/gateway.ts';
import { expectProblem } from '../support/problem.ts';
import { type RedisServer, startRedis } from '../support/redis.ts';
import { startUpstream, type Upstream } from '../support/upstream.ts';

const token = tokenFor('ann');

const get = (gateway: TestGateway, path = '/budgeting/x', bearing = token) =>
  fetch(`${gateway.external}${path}`, { headers: bearer(bearing) });
const logout = (gateway: TestGateway, bearing: string) =>
  fetch(`${gateway.external}/userManagement/auth/logout`, { method: 'POST', headers: bearer(bearing) });

type Harm = 'killed' | 'frozen';
const HARMS: readonly Harm[] = ['killed', 'frozen'];

describe.each(HARMS)('a Redis that is %s', (harm) => {
  let redis: RedisServer;
  let upstream: Upstream;

  beforeAll(async () => {
    redis = await startRedis();
    upstream = await startUpstream();
  });
  afterEach(async () => {
    await heal();
  });
  afterAll(async () => {
    await redis.stop();
    await upstream[Symbol.asyncDispose]();
  });

  const hurt = async () => (harm === 'killed' ? redis.kill() : redis.freeze());
  const heal = async () => (harm === 'killed' ? redis.restart() : redis.thaw());

  const start = (env: Record<string, string> = {}) =>
    startGateway({
      services: { '/budgeting': [upstream], '/userManagement': [upstream] },
      env: { REDIS_URL: redis.url, STORE_TIMEOUT: '100ms', ...env },
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
});
