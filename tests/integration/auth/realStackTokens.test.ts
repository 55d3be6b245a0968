import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { beforeEach, describe, expect, it, jest } from '@jest/globals';
import jwt from 'jsonwebtoken';
import { fieldValues } from '../../../lib/http/fields.ts';
import { call } from '../../support/clients/client.ts';
import { eventually } from '../../support/eventually.ts';
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
const AUTH = '/userManagement/auth';
const HOUR_SECONDS = 3_600;
const WEEK_SECONDS = 7 * 24 * HOUR_SECONDS;

/** One of its users, as the claims of tokens have them. */
interface User {
  readonly user_id: number;
  readonly uuid: string;
  readonly email: string;
  readonly username: string;
  readonly role: string;
}

function newUser(username: string, userId: number): User {
  return { user_id: userId, uuid: randomUUID(), email: `${username}@faf.example`, username, role: 'student' };
}

/** Signed as the user-management service of the real stack signs: HS256, an hour, no `sub`, and no `jti` either. */
function signed(user: User, type: 'access' | 'refresh', issuedAgoSeconds = 0): string {
  const iat = Math.floor(Date.now() / 1000) - issuedAgoSeconds;
  const exp = iat + (type === 'access' ? HOUR_SECONDS : WEEK_SECONDS);
  return keepSecret(jwt.sign({ ...user, exp, iat, type }, TEST_SECRET, { algorithm: 'HS256' }));
}

/** Its login, registration, refresh and logout; every other path tells what it was told of the caller. */
function startUserManagement(user: User, { tellsRefreshToken = false } = {}): Promise<Upstream> {
  return startUpstream((req, res) => {
    const [path, cookie] = [req.url, req.headers.cookie ?? ''];
    const grant = () => {
      const refresh = signed(user, 'refresh');
      res.setHeader('Set-Cookie', `refresh_token=${refresh}; Path=/; HttpOnly; SameSite=Lax`);
      const granted = {
        access_token: signed(user, 'access'),
        token_type: 'bearer',
        expires_in: HOUR_SECONDS,
      };
      return tellsRefreshToken ? { refresh_token: refresh, ...granted } : granted;
    };
    const say = (status: number, body: unknown) =>
      res.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
    if (path === '/auth/login') say(200, grant());
    else if (path === '/auth/register') say(201, { user, ...grant() });
    else if (path !== '/auth/refresh') say(200, told(req));
    else if (/(^|; )refresh_token=eyJ/.test(cookie)) say(200, grant());
    else say(401, { detail: 'no refresh token' });
  });
}

function told({ headers }: IncomingMessage) {
  const claims = String(headers['x-auth-claims'] ?? '');
  return {
    subject: headers['x-auth-subject'],
    claims: claims && JSON.parse(Buffer.from(claims, 'base64url').toString()),
    authorization: headers.authorization,
  };
}

const post = (gateway: TestGateway, path: string, headers: Record<string, string> = {}) =>
  call(`${gateway.external}${path}`, { method: 'POST', headers, body: '' });
const get = (gateway: TestGateway, token: string) =>
  fetch(`${gateway.external}/budgeting/x`, { headers: bearer(token) });

/** The token of a response that hands one out, and the cookie that it sets. */
async function granted(answer: Promise<Awaited<ReturnType<typeof call>>>, status = 200) {
  const { status: given, body, headers } = await answer;
  expect(given).toBe(status);
  const { access_token: token } = JSON.parse(body.toString()) as { access_token: string };
  const [cookie = ''] = headers['set-cookie'] ?? [];
  return { token, cookie: cookie.slice(0, cookie.indexOf(';')) };
}

describe.each(STORES)("with the real user management's tokens and the %s store", (store) => {
  beforeEach(emptyTestRedis);
  const user = newUser('ann', 42);

  async function start(users: Upstream, env: Record<string, string> = {}): Promise<TestGateway> {
    const services = { '/userManagement': [users], '/budgeting': [users] };
    return startGateway({ services, store, env: { ADMIN_TOKEN, ...env } });
  }

  it.each([
    ['login', 200],
    ['register', 201],
  ])('%s, authorised calls and a logout', async (how, status) => {
    await using users = await startUserManagement(user);
    await using gateway = await start(users);
    const { token, cookie } = await granted(post(gateway, `${AUTH}/${how}`), status);
    expect(cookie).toMatch(/^refresh_token=eyJ/);
    expect(await (await get(gateway, token)).json()).toEqual({
      subject: user.uuid,
      claims: { ...user, exp: expect.any(Number), iat: expect.any(Number), type: 'access' },
    });
    expect((await post(gateway, `${AUTH}/logout`, bearer(token))).status).toBe(200);
    await expectProblem(await get(gateway, token), 'token_revoked');
  });

  it.each(['uuid', 'user_id'] as const)('are revoked by the subject that %s names', async (claim) => {
    await using users = await startUserManagement(user);
    await using gateway = await start(users);
    const token = signed(user, 'access', 10);
    const other = signed(newUser('bob', 43), 'access', 10);
    expect((await get(gateway, token)).status).toBe(200);
    const revoked = await fetch(`${gateway.internal}/admin/revocations`, {
      method: 'POST',
      headers: bearer(ADMIN_TOKEN),
      body: JSON.stringify({ subject: String(user[claim]) }),
    });
    expect(revoked.status).toBe(201);
    await expectProblem(await get(gateway, token), 'token_revoked');
    expect((await get(gateway, other)).status).toBe(200);
  });

  it('accepts those that a Go gateway has signed, too', async () => {
    await using users = await startUserManagement(user);
    await using gateway = await start(users);
    const claims = { iss: 'pad-faf-gateway', sub: `user_${user.uuid}` };
    const token = keepSecret(jwt.sign(claims, TEST_SECRET, { expiresIn: '24h' }));
    expect(await (await get(gateway, token)).json()).toMatchObject({ subject: `user_${user.uuid}` });
  });

  it('a refresh token is no access token: 401, with the reason in the log', async () => {
    await using users = await startUserManagement(user);
    await using gateway = await start(users);
    const answer = await get(gateway, signed(user, 'refresh'));
    const requestId = answer.headers.get('X-Request-Id');
    await expectProblem(answer, 'token_invalid');
    const line = await eventually('the line', () =>
      gateway.logLines().find((one) => one.requestId === requestId && one.status === 401),
    );
    expect(line.tokenProblem).toBe('type is "refresh": a refresh token is not an access token');
    expect(users.requests).toEqual([]);
  });

  it('a refresh by cookie works out of the box, whatever has become of the access token', async () => {
    await using users = await startUserManagement(user);
    await using gateway = await start(users);
    const { cookie, token: first } = await granted(post(gateway, `${AUTH}/login`));
    await post(gateway, `${AUTH}/logout`, bearer(first));
    for (const authorization of [{}, bearer(first), bearer(signed(user, 'access', 2 * HOUR_SECONDS))]) {
      const { token } = await granted(post(gateway, `${AUTH}/refresh`, { Cookie: cookie, ...authorization }));
      const { fields = [] } = users.requests.at(-1) ?? {};
      expect(fieldValues(fields, 'cookie')).toEqual([cookie]);
      expect(fieldValues(fields, 'authorization')).toEqual([]);
      expect(fieldValues(fields, 'x-auth-subject')).toEqual([]);
      // Tokens of one second are one and the same: the first is logged out until the next second begins.
      if (token !== first) expect((await get(gateway, token)).status).toBe(200);
    }
    expect((await post(gateway, `${AUTH}/refresh`)).status).toBe(401);
  });

  it('what a refresh hands out is active at once, and refresh tokens never are', async () => {
    await using users = await startUserManagement(user, { tellsRefreshToken: true });
    await using gateway = await start(users, { AUTH_REQUIRE_ACTIVE_TOKEN: 'true' });
    await expectProblem(await get(gateway, signed(user, 'access', 60)), 'token_revoked');
    const login = await granted(post(gateway, `${AUTH}/login`));
    const refreshed = await granted(post(gateway, `${AUTH}/refresh`, { Cookie: login.cookie }));
    for (const { token } of [login, refreshed]) expect((await get(gateway, token)).status).toBe(200);
    const refreshToken = login.cookie.slice('refresh_token='.length);
    await expectProblem(await get(gateway, refreshToken), 'token_invalid');
    await using probe = await probeTokens(gateway);
    expect(await probe.get(`token:${refreshed.token}`)).toContain(user.uuid);
    const keys = await probe.keys();
    expect(keys).not.toContain(probe.nameOf(`token:${refreshToken}`));
    const active = new Set([login.token, refreshed.token].map((token) => probe.nameOf(`token:${token}`)));
    expect(keys.filter((key) => !key.startsWith('cache:')).sort()).toEqual([...active].sort());
  });

  it.each([
    { name: 'refresh_token alone', body: (refresh: string) => ({ refresh_token: refresh }) },
    { name: 'token', body: (refresh: string) => ({ token: refresh }) },
    { name: 'access_token', body: (refresh: string) => ({ access_token: refresh }) },
  ])('a login that hands out a refresh token as $name activates nothing', async ({ body }) => {
    const refresh = signed(user, 'refresh');
    await using users = await startUpstream((_req, res) => void res.end(JSON.stringify(body(refresh))));
    await using gateway = await start(users);
    expect((await post(gateway, `${AUTH}/login`)).body.toString()).toBe(JSON.stringify(body(refresh)));
    await using probe = await probeTokens(gateway);
    expect((await probe.keys()).filter((key) => !key.startsWith('cache:'))).toEqual([]);
    expect(await gateway.metric('gateway_jwt_generated_total')).toBe(0);
  });

  it.each([
    ['GET', `${AUTH}/refresh`],
    ['POST', `${AUTH}/refresh/`],
    ['POST', `${AUTH}/Refresh`],
    ['POST', `${AUTH}/%72efresh`],
    ['POST', '/budgeting/auth/refresh'],
  ])('no other path or method becomes public with it: %s %s', async (method, path) => {
    await using users = await startUserManagement(user);
    await using gateway = await start(users);
    const headers = { Cookie: `refresh_token=${signed(user, 'refresh')}` };
    const answer = await fetch(`${gateway.external}${path}`, { method, headers });
    await expectProblem(answer, 'token_missing');
    expect(users.requests).toEqual([]);
  });
});
