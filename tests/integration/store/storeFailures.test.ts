import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { eventually } from '../../support/eventually.ts';
import { bearer, startGateway, type TestGateway, tokenFor } from '../../support/gateway/gateway.ts';
import { expectProblem } from '../../support/gateway/problem.ts';
import { awayHarms, FULL, type StorePlace, startStorePlace } from '../../support/stores/storeHarms.ts';
import { sendJson, startUpstream, type Upstream } from '../../support/upstreams/upstream.ts';

// Real processes on a machine that may be busy.
jest.setTimeout(30_000);
const token = tokenFor('ann');

const get = (gateway: TestGateway, path = '/budgeting/x', bearing = token) =>
  fetch(`${gateway.external}${path}`, { headers: bearer(bearing) });
const logout = (gateway: TestGateway, bearing: string) =>
  fetch(`${gateway.external}/userManagement/auth/logout`, { method: 'POST', headers: bearer(bearing) });

/** Longer than any wait for an answer here. */
const LATE_MS = 700;

describe.each(awayHarms(LATE_MS))('a Redis that is $name', (harm) => {
  let place: StorePlace;
  let upstream: Upstream;

  beforeAll(async () => {
    place = await startStorePlace();
    upstream = await startUpstream();
  });
  afterEach(async () => {
    await heal();
  });
  afterAll(async () => {
    await place[Symbol.asyncDispose]();
    await upstream[Symbol.asyncDispose]();
  });

  const hurt = () => harm.hurt(place);
  const heal = () => harm.heal(place);

  /** On a busy machine a Redis that is well may be late for 100 ms, too. */
  const letIn = (...request: Parameters<typeof get>) =>
    eventually('it is let in', async () => (await get(...request)).status === 200);

  const start = (env: Record<string, string> = {}) =>
    startGateway({
      services: { '/budgeting': [upstream], '/userManagement': [upstream] },
      env: { REDIS_URL: place.url, STORE_TIMEOUT: '100ms', ...env },
    });

  it('leaves nobody in who needs a check, and lets them in again when it is back', async () => {
    await using gateway = await start();
    await letIn(gateway);
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
    await letIn(gateway, '/budgeting/x', leaving);
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
    for (const known of [leaving, banned, staying]) await letIn(gateway, '/budgeting/x', known);
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
    if (harm.isReachable) {
      await using other = await start({
        REDIS_URL: place.redis.url,
        STORE_TIMEOUT: '2s',
        ADMIN_TOKEN: 'admin',
      });
      expect((await logout(other, leaving)).status).toBe(200);
      expect((await ban(other, 'dan')).status).toBe(201);
    }
    await heal();
    if (!harm.isReachable) {
      await eventually('the logout succeeds', async () => (await logout(gateway, leaving)).status === 200);
      expect((await ban(gateway, 'dan')).status).toBe(201);
    }
    await eventually('it is back', async () => (await get(gateway, '/budgeting/x', staying)).status === 200);
    await expectProblem(await get(gateway, '/budgeting/x', leaving), 'token_revoked');
    await expectProblem(await get(gateway, '/budgeting/x', banned), 'token_revoked');
  });
});

const ban = (gateway: TestGateway, subject: string) =>
  fetch(`${gateway.internal}/admin/revocations`, {
    method: 'POST',
    headers: bearer('admin'),
    body: JSON.stringify({ subject }),
  });

describe('a Redis that is full and evicts nothing', () => {
  it('lets users in, refuses to log out, and works again when there is room', async () => {
    await using place = await startStorePlace();
    await using users = await startUpstream((req, res) => {
      if (req.url === '/auth/login') sendJson(res, { access_token: tokenFor('ann') });
      else res.end('ok');
    });
    await using gateway = await startGateway({
      services: { '/budgeting': [users], '/userManagement': [users] },
      env: { REDIS_URL: place.url, ADMIN_TOKEN: 'admin' },
    });
    expect((await get(gateway)).status).toBe(200);
    await FULL.hurt(place);
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
    await FULL.heal(place);
    expect((await logout(gateway, token)).status).toBe(200);
    await expectProblem(await get(gateway), 'token_revoked');
  });
});

describe('a Redis that is 200 ms late, with the default STORE_TIMEOUT', () => {
  it('is given up at once, and taken back when it answers in time', async () => {
    await using place = await startStorePlace();
    await using upstream = await startUpstream();
    await using gateway = await startGateway({
      services: { '/budgeting': [upstream] },
      env: { REDIS_URL: place.url, STORE_TIMEOUT: '50ms' },
    });
    await eventually('it serves', async () => (await get(gateway)).status === 200);
    place.network.passage = { lateMs: 200 };
    await eventually('it is noticed', async () => (await get(gateway)).status === 503);
    await expectProblem(await get(gateway, '/budgeting/y', tokenFor('bob')), 'store_unavailable');
    place.network.passage = 'pass';
    await eventually('it is back', async () => (await get(gateway)).status === 200);
  });
});
