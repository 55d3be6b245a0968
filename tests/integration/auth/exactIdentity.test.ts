import { createHash, createHmac, randomUUID } from 'node:crypto';
import { describe, expect, it, jest } from '@jest/globals';
import {
  bearer,
  keepSecret,
  STORES,
  startGateway,
  TEST_SECRET,
  type TestGateway,
} from '../../support/gateway/gateway.ts';
import { expectProblem } from '../../support/gateway/problem.ts';
import { emptyTestRedis, probeTokens } from '../../support/stores/storeProbe.ts';
import { startUpstream, type Upstream } from '../../support/upstreams/upstream.ts';

// Real sockets and a Redis on a machine that may be busy.
jest.setTimeout(30_000);

const ADMIN_TOKEN = 'what-only-operators-know-here';
const LOGOUT = '/userManagement/auth/logout';
const inAnHour = () => Math.floor(Date.now() / 1000) + 3600;

/** A token with this very payload. */
function signed(payload: string): string {
  const parts = ['{"alg":"HS256","typ":"JWT"}', payload].map((part) =>
    Buffer.from(part).toString('base64url'),
  );
  const signature = createHmac('sha256', TEST_SECRET).update(parts.join('.')).digest('base64url');
  return keepSecret([...parts, signature].join('.'));
}

/** As the user-management service of the real stack signs them: without a `sub`. */
function realStackToken(uuid: string, userId: number): string {
  const iat = Math.floor(Date.now() / 1000);
  const claims = { user_id: userId, uuid, email: 'ann@faf.example', username: 'ann', role: 'user' };
  return signed(JSON.stringify({ ...claims, exp: iat + 3600, iat, type: 'access' }));
}

const withMembers = (members: string) => signed(`{${members},"exp":${inAnHour()},"jti":"${randomUUID()}"}`);

const get = (gateway: TestGateway, token: string, path = '/budgeting/x') =>
  fetch(`${gateway.external}${path}`, { headers: bearer(token) });

function start(service: Upstream, env: Record<string, string> = {}, more: object = {}): Promise<TestGateway> {
  const services = { '/budgeting': [service], '/userManagement': [service] };
  return startGateway({ services, env: { ADMIN_TOKEN, ...env }, ...more });
}

async function revoke(gateway: TestGateway, order: object): Promise<void> {
  const init = { method: 'POST', headers: bearer(ADMIN_TOKEN), body: JSON.stringify(order) };
  expect((await fetch(`${gateway.internal}/admin/revocations`, init)).status).toBe(201);
}

describe("the real stack's tokens", () => {
  it('are accepted out of the box, by their uuid', async () => {
    await using service = await startUpstream((req, res) => void res.end(req.headers['x-auth-subject']));
    await using gateway = await start(service);
    const uuid = randomUUID();
    expect(await (await get(gateway, realStackToken(uuid, 42))).text()).toBe(uuid);
  });

  it.each(['uuid', 'user_id'])('are revoked by %s', async (claim) => {
    await using service = await startUpstream();
    await using gateway = await start(service);
    const uuid = randomUUID();
    const [ann, bob] = [realStackToken(uuid, 42), realStackToken(randomUUID(), 43)];
    expect((await get(gateway, ann)).status).toBe(200);
    await revoke(gateway, { subject: claim === 'uuid' ? uuid : '42' });
    await expectProblem(await get(gateway, ann), 'token_revoked');
    expect((await get(gateway, bob)).status).toBe(200);
  });

  it('that refresh others are no access tokens', async () => {
    await using service = await startUpstream();
    await using gateway = await start(service);
    const refresh = signed(JSON.stringify({ uuid: randomUUID(), exp: inAnHour(), type: 'refresh' }));
    await expectProblem(await get(gateway, refresh), 'token_invalid');
    expect(service.requests).toEqual([]);
  });
});

describe('two people', () => {
  it('whose numbers are one in floating point are neither of them', async () => {
    await using service = await startUpstream();
    await using gateway = await start(service);
    for (const sub of ['1234567890123456788', '1234567890123456789']) {
      await expectProblem(await get(gateway, withMembers(`"sub":${sub}`)), 'token_invalid');
    }
    expect(service.requests).toEqual([]);
  });

  it('with one value in another claim or type have a rate each', async () => {
    await using service = await startUpstream();
    await using gateway = await start(service, { RATE_LIMIT_PER_IDENTITY: '1/1m' });
    for (const members of ['"sub":"42"', '"sub":42', '"user_id":42', '"iss":"us","sub":"42"']) {
      const token = withMembers(members);
      expect([members, (await get(gateway, token)).status]).toEqual([members, 200]);
      expect([members, (await get(gateway, token)).status]).toEqual([members, 429]);
    }
  });
});

describe.each(STORES)('a token without exp, with the %s store', (store) => {
  const endless = () => signed(`{"sub":"ann","jti":"${randomUUID()}"}`);

  it('is refused, and accepted with JWT_REQUIRE_EXPIRY=false', async () => {
    await emptyTestRedis();
    await using service = await startUpstream();
    await using strict = await start(service, {}, { store });
    await using lenient = await start(service, { JWT_REQUIRE_EXPIRY: 'false' }, { store });
    await expectProblem(await get(strict, endless()), 'token_invalid');
    expect((await get(lenient, endless())).status).toBe(200);
  });

  it('that was accepted is logged out for good', async () => {
    await emptyTestRedis();
    await using service = await startUpstream();
    await using gateway = await start(service, { JWT_REQUIRE_EXPIRY: 'false' }, { store });
    const token = endless();
    const logout = await fetch(`${gateway.external}${LOGOUT}`, { method: 'POST', headers: bearer(token) });
    expect(logout.status).toBe(200);
    await expectProblem(await get(gateway, token), 'token_revoked');
    await using probe = await probeTokens(gateway);
    const digest = createHash('sha256').update(token).digest('hex');
    expect(await probe.leftMs(`blacklist:${digest}`)).toBeGreaterThan(1_000 * 365 * 24 * 3_600_000);
  });
});

describe.each(STORES)('with the %s store, where tokens must be active', (store) => {
  const active = { AUTH_REQUIRE_ACTIVE_TOKEN: 'true' };
  const register = (gateway: TestGateway, token: string, headers = {}) =>
    fetch(`${gateway.external}/userManagement/auth/register`, {
      method: 'POST',
      headers: { 'X-Sent': JSON.stringify({ token }), ...headers },
    });

  it('a registration that echoes what it was sent brings no token back', async () => {
    await emptyTestRedis();
    await using service = await startUpstream((req, res) => void res.end(req.headers['x-sent']));
    await using gateway = await start(service, active, { store });
    const iat = Math.floor(Date.now() / 1000) - 60;
    const inactive = signed(`{"sub":"ann","iat":${iat},"exp":${inAnHour()}}`);
    const echoed = await register(gateway, inactive, bearer(inactive));
    expect(await echoed.json()).toEqual({ token: inactive });
    await expectProblem(await get(gateway, inactive), 'token_revoked');
    const fresh = signed(`{"sub":"ann","iat":${iat + 120},"exp":${inAnHour()}}`);
    await (await register(gateway, fresh)).text();
    expect((await get(gateway, fresh)).status).toBe(200);
  });
});

describe('a logout', () => {
  it.each([
    '/userManagement/auth/%6cogout;%ff',
    `${LOGOUT};%zz`,
    '/userManagement/auth/logou%74.json',
    `${LOGOUT}%20`,
  ])('by POST %s revokes the token before the service hears of it', async (path) => {
    await using service = await startUpstream();
    await using gateway = await start(service);
    const token = withMembers('"sub":"ann"');
    const logout = await fetch(`${gateway.external}${path}`, { method: 'POST', headers: bearer(token) });
    expect(logout.status).toBe(200);
    expect(service.requests.at(-1)?.target).toBe(path.slice('/userManagement'.length));
    await expectProblem(await get(gateway, token), 'token_revoked');
  });
});
