import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { beforeEach, describe, expect, it } from '@jest/globals';
import jwt from 'jsonwebtoken';
import { fieldValues } from '../../../lib/http/fields.ts';
import { request, sendRaw } from '../../support/clients/rawClient.ts';
import { deferred } from '../../support/deferred.ts';
import { eventually } from '../../support/eventually.ts';
import {
  bearer,
  keepSecret,
  STORES,
  startGateway,
  TEST_SECRET,
  type TestGateway,
  tokenFor,
} from '../../support/gateway/gateway.ts';
import { expectProblem } from '../../support/gateway/problem.ts';
import { ManualClock } from '../../support/manualClock.ts';
import { emptyTestRedis, probeTokens } from '../../support/stores/storeProbe.ts';
import { sendJson, startUpstream, type Upstream } from '../../support/upstreams/upstream.ts';

const HOUR_MS = 3_600_000;
const digest = (token: string) => createHash('sha256').update(token).digest('hex');

/** The service that issues tokens: what login, registration and logout answer. */
function startUserManagement(answerLogin = { access_token: tokenFor('ann') } as object): Promise<Upstream> {
  return startUpstream((req, res) => {
    if (/^\/auth\/(?:login|register|refresh)$/.test(req.url ?? '')) sendJson(res, answerLogin);
    else res.end('ok');
  });
}

const post = (gateway: TestGateway, path: string, headers: Record<string, string> = {}) =>
  fetch(`${gateway.external}${path}`, { method: 'POST', headers });
const get = (gateway: TestGateway, path: string, token: string) =>
  fetch(`${gateway.external}${path}`, { headers: bearer(token) });

/** Without the words by which the cache remembers for half a minute that a path was posted to. */
function ofTokens(keys: readonly string[]): string[] {
  return keys.filter((key) => !key.startsWith('cache:'));
}

describe.each(STORES)('tokens with the %s store', (store) => {
  beforeEach(emptyTestRedis);

  async function start(users: Upstream, env: Record<string, string> = {}) {
    return startGateway({ services: { '/userManagement': [users], '/budgeting': [users] }, store, env });
  }

  it('keeps the token of a login under the documented key, for AUTH_CACHE_TTL', async () => {
    const token = tokenFor('ann');
    await using users = await startUserManagement({ access_token: token, token_type: 'bearer' });
    await using gateway = await start(users, { AUTH_CACHE_TTL: '90s' });
    const answer = await post(gateway, '/userManagement/auth/login');
    expect(await answer.json()).toEqual({ access_token: token, token_type: 'bearer' });
    await using probe = await probeTokens(gateway);
    expect(JSON.parse((await probe.get(`token:${token}`)) ?? '')).toMatchObject({ sub: 'ann' });
    expect(await probe.leftMs(`token:${token}`)).toBeGreaterThan(80_000);
    expect(await probe.leftMs(`token:${token}`)).toBeLessThanOrEqual(90_000);
    expect(await gateway.metric('gateway_jwt_generated_total')).toBe(1);
  });

  it('never keeps a token for longer than it is accepted', async () => {
    const token = tokenFor('ann', { exp: Math.floor(Date.now() / 1000) + 20 });
    await using users = await startUserManagement({ access_token: token });
    await using gateway = await start(users);
    await post(gateway, '/userManagement/auth/login');
    await using probe = await probeTokens(gateway);
    expect(await probe.leftMs(`token:${token}`)).toBeLessThanOrEqual(25_000);
  });

  it.each(['login', 'register', 'refresh'].map((end) => `/userManagement/auth/${end}`))(
    'needs no token for POST %s',
    async (path) => {
      // Issued by the time of the request, however long the start takes.
      const token = tokenFor('ann', { iat: Math.floor(Date.now() / 1000) + 60 });
      await using users = await startUserManagement({ token });
      await using gateway = await start(users, { AUTH_REQUIRE_ACTIVE_TOKEN: 'true' });
      await expectProblem(await get(gateway, '/budgeting/x', token), 'token_revoked');
      expect((await post(gateway, path)).status).toBe(200);
      expect((await get(gateway, '/budgeting/x', token)).status).toBe(200);
    },
  );

  it.each([
    ['GET', '/userManagement/auth/login'],
    ['PUT', '/userManagement/auth/login'],
    ['POST', '/userManagement/auth/login/'],
    ['POST', '/userManagement/auth//login'],
    ['POST', '/userManagement/AUTH/login'],
    ['POST', '/userManagement/auth/%6cogin'],
    ['POST', '/userManagement/auth/login/extra'],
    ['POST', '/userManagement//auth/login'],
    ['POST', '/budgeting/auth/login'],
    ['POST', '/budgeting/x/userManagement/auth/login'],
    ['POST', '/userManagement/auth/login;x=1'],
  ])('needs one for %s %s', async (method, path) => {
    await using users = await startUserManagement();
    await using gateway = await start(users);
    await expectProblem(await sendRaw(gateway.external, request(`${method} ${path}`)), 'token_missing');
    expect(users.requests).toHaveLength(0);
  });

  it('reads the token of a compressed response', async () => {
    const token = tokenFor('ann');
    await using users = await startUpstream((_req, res) => {
      res.setHeader('Content-Encoding', 'gzip').end(gzipSync(JSON.stringify({ token })));
    });
    await using gateway = await start(users);
    expect(await (await post(gateway, '/userManagement/auth/login')).json()).toEqual({ token });
    await using probe = await probeTokens(gateway);
    expect(await probe.get(`token:${token}`)).toBeDefined();
  });

  it('passes on a login response that holds a forged token, and keeps nothing', async () => {
    const forged = keepSecret(jwt.sign({ sub: 'ann' }, 'another secret', { expiresIn: '1h' }));
    await using users = await startUserManagement({ access_token: forged });
    await using gateway = await start(users);
    expect(await (await post(gateway, '/userManagement/auth/login')).json()).toEqual({
      access_token: forged,
    });
    await using probe = await probeTokens(gateway);
    expect(ofTokens(await probe.keys())).toEqual([]);
    expect(await gateway.metric('gateway_jwt_generated_total')).toBe(0);
  });

  it('keeps nothing of a login that failed', async () => {
    await using users = await startUpstream((_req, res) => sendJson(res, { token: tokenFor('ann') }, 403));
    await using gateway = await start(users);
    expect((await post(gateway, '/userManagement/auth/login')).status).toBe(403);
    await using probe = await probeTokens(gateway);
    expect(ofTokens(await probe.keys())).toEqual([]);
  });

  it('accepts a valid token that it has never seen, and stores it', async () => {
    const token = tokenFor('ann');
    await using users = await startUserManagement();
    await using gateway = await start(users);
    expect((await get(gateway, '/budgeting/x', token)).status).toBe(200);
    await using probe = await probeTokens(gateway);
    await eventually('it is stored', async () => (await probe.get(`token:${token}`)) !== undefined);
    expect(await gateway.metric('gateway_jwt_validation_success_total')).toBe(1);
  });

  it('marks a revoked token until it would not be accepted anyway, and forgets it as active', async () => {
    const token = tokenFor('ann');
    await using users = await startUserManagement({ token });
    await using gateway = await start(users);
    await post(gateway, '/userManagement/auth/login');
    expect((await post(gateway, '/userManagement/auth/logout', bearer(token))).status).toBe(200);
    await using probe = await probeTokens(gateway);
    expect(ofTokens(await probe.keys())).toEqual([`blacklist:${digest(token)}`]);
    const leftMs = (await probe.leftMs(`blacklist:${digest(token)}`)) ?? 0;
    // And the clock tolerance, and a day in case that a clock is wrong.
    expect(leftMs).toBeGreaterThan(25 * HOUR_MS - 60_000);
    expect(leftMs).toBeLessThanOrEqual(25 * HOUR_MS + 5_000);
    await expectProblem(await get(gateway, '/budgeting/x', token), 'token_revoked');
  });

  it('has revoked the token on every gateway before the service hears of the logout', async () => {
    const token = tokenFor('ann');
    const another = deferred<TestGateway>();
    const refusals: Response[] = [];
    const refusalBy = (other: TestGateway) =>
      eventually('it refuses the token', async () => {
        const answer = await get(other, '/budgeting/x', token);
        return answer.status === 401 && answer;
      });
    await using users = await startUpstream(async (req, res) => {
      if (req.url === '/auth/logout') refusals.push(await refusalBy(await another.promise));
      res.end();
    });
    await using gateway = await start(users);
    await using second = await start(users, {
      ...(store === 'embedded' ? { DATA_DIR: gateway.gateway.parts.settings.dataDir } : {}),
    });
    another.resolve(second);
    // The second gateway remembers the token by now.
    expect((await get(second, '/budgeting/x', token)).status).toBe(200);
    expect((await post(gateway, '/userManagement/auth/logout', bearer(token))).status).toBe(200);
    expect(refusals).toHaveLength(1);
    await expectProblem(refusals[0] as Response, 'token_revoked');
  });

  it('answers a logout with 503, never 200, when the store is away', async () => {
    const token = tokenFor('ann');
    await using users = await startUserManagement();
    await using gateway = await start(users, { AUTH_STORE_FAILURE: 'allow' });
    await gateway.gateway.parts.stores.close();
    expect((await get(gateway, '/budgeting/x', token)).status).toBe(200);
    await expectProblem(
      await post(gateway, '/userManagement/auth/logout', bearer(token)),
      'store_unavailable',
    );
    expect(users.requests.map(({ target }) => target)).toEqual(['/x']);
  });

  it('looks for a revocation at every request, however often it has seen the token', async () => {
    const token = tokenFor('ann');
    await using users = await startUserManagement();
    await using gateway = await start(users);
    for (let n = 0; n < 3; n += 1) expect((await get(gateway, `/budgeting/${n}`, token)).status).toBe(200);
    await gateway.gateway.parts.authenticator.revoke(
      await gateway.gateway.parts.authenticator.authenticate(token),
    );
    await expectProblem(await get(gateway, '/budgeting/x', token), 'token_revoked');
    expect(await gateway.metric('gateway_jwt_validation_errors_total', { reason: 'token_revoked' })).toBe(1);
  });

  it('refuses a token from the moment it has expired by more than the tolerance, though it was accepted before', async () => {
    const clock = new ManualClock();
    const token = tokenFor('ann', { exp: Math.floor(clock.now() / 1000) + 60 });
    await using users = await startUserManagement();
    await using gateway = await startGateway({ services: { '/budgeting': [users] }, store, clock });
    expect((await get(gateway, '/budgeting/x', token)).status).toBe(200);
    clock.advance(62_000);
    expect((await get(gateway, '/budgeting/x', token)).status).toBe(200);
    clock.advance(4_000);
    await expectProblem(await get(gateway, '/budgeting/x', token), 'token_expired');
  });
});

describe('what counts as a token', () => {
  const exp = Math.floor(Date.now() / 1000) + 3600;
  const hs256 = (payload: object, secret = TEST_SECRET) =>
    keepSecret(jwt.sign(JSON.parse(JSON.stringify({ exp, ...payload })), secret));
  const unsigned = (header: object, payload: object) =>
    `${[header, payload].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')}.`;
  const good = tokenFor('ann');

  it.each([
    ['none at all', undefined, 'token_missing'],
    ['another scheme', 'Basic YTpi', 'token_missing'],
    ['a scheme without a token', 'Bearer ', 'token_missing'],
    ['no token', 'Bearer x', 'token_invalid'],
    ['another secret', `Bearer ${hs256({ sub: 'ann' }, 'another-secret')}`, 'token_invalid'],
    ['alg none', `Bearer ${unsigned({ alg: 'none', typ: 'JWT' }, { sub: 'ann', exp })}`, 'token_invalid'],
    [
      'an algorithm off the list',
      `Bearer ${jwt.sign({ sub: 'a', exp }, TEST_SECRET, { algorithm: 'HS512' })}`,
      'token_invalid',
    ],
    [
      'a changed payload',
      `Bearer ${good.split('.')[0]}.${Buffer.from(`{"sub":"bob","exp":${exp}}`).toString('base64url')}.${good.split('.')[2]}`,
      'token_invalid',
    ],
    ['no subject', `Bearer ${hs256({ name: 'ann' })}`, 'token_invalid'],
    ['no end', `Bearer ${hs256({ sub: 'ann', exp: undefined })}`, 'token_invalid'],
    ['an expired one', `Bearer ${hs256({ sub: 'ann', exp: 1_000 })}`, 'token_expired'],
    ['one of the future', `Bearer ${hs256({ sub: 'ann', nbf: 9_999_999_999 })}`, 'token_invalid'],
    ['two of them', `Bearer ${good}\r\nAuthorization: Bearer ${good}`, 'token_invalid'],
    ['a good one behind a bad one', `Bearer x\r\nAuthorization: Bearer ${good}`, 'token_invalid'],
  ] as const)('%s: refused', async (_what, authorization, code) => {
    await using upstream = await startUpstream();
    await using gateway = await startGateway({ services: { '/budgeting': [upstream] } });
    const fields = authorization === undefined ? [] : [`Authorization: ${authorization}`];
    await expectProblem(await sendRaw(gateway.external, request('GET /budgeting/x', ...fields)), code);
    expect(upstream.requests).toHaveLength(0);
    expect(await gateway.metric('gateway_jwt_validation_errors_total', { reason: code })).toBe(1);
  });

  it.each(['bearer', 'BEARER', 'Bearer'])('the scheme %s is as good as any', async (scheme) => {
    await using upstream = await startUpstream();
    await using gateway = await startGateway({ services: { '/budgeting': [upstream] } });
    const answer = await sendRaw(
      gateway.external,
      request('GET /budgeting/x', `authorization: ${scheme} ${good}`),
    );
    expect(answer.status).toBe(200);
  });

  it('is not looked for on the internal port', async () => {
    await using upstream = await startUpstream();
    await using gateway = await startGateway({ services: { '/budgeting': [upstream] } });
    expect((await fetch(`${gateway.internal}/internal/budgeting/x`)).status).toBe(200);
  });
});

describe('who is calling', () => {
  const FORGERIES = [
    'X-Auth-Subject: root',
    'x-auth-subject: root',
    'X-AUTH-SUBJECT: root',
    'X_Auth_Subject: root',
    'X-Auth_Subject: root',
    'X-Auth-Claims: e30',
    'x_auth_claims: e30',
    'X-Auth-Roles: admin',
  ];

  async function askWith(token: string | undefined, ...fields: string[]) {
    await using upstream = await startUpstream();
    await using gateway = await startGateway({
      services: { '/userManagement': [upstream], '/budgeting': [upstream] },
    });
    const authorization = token ? [`Authorization: Bearer ${token}`] : [];
    const line = token ? 'GET /budgeting/x' : 'POST /userManagement/auth/login';
    const answer = await sendRaw(gateway.external, request(line, ...authorization, ...fields));
    expect(answer.status).toBe(200);
    return upstream.requests[0]?.fields ?? [];
  }

  it('is told to the service in place of the token', async () => {
    const fields = await askWith(tokenFor('ann', { role: 'clerk' }));
    expect(fieldValues(fields, 'authorization')).toEqual([]);
    expect(fieldValues(fields, 'x-auth-subject')).toEqual(['ann']);
    const [claims = ''] = fieldValues(fields, 'x-auth-claims');
    expect(JSON.parse(Buffer.from(claims, 'base64url').toString())).toMatchObject({
      sub: 'ann',
      role: 'clerk',
    });
  });

  it.each(FORGERIES)('cannot be forged with %s', async (field) => {
    const fields = await askWith(tokenFor('ann'), field);
    const names = fields.filter((_, i) => i % 2 === 0).map((name) => name.toLowerCase().replaceAll('_', '-'));
    expect(names.filter((name) => name.startsWith('x-auth-')).sort()).toEqual([
      'x-auth-claims',
      'x-auth-subject',
    ]);
    expect(fieldValues(fields, 'x-auth-subject')).toEqual(['ann']);
  });

  it.each(FORGERIES)('cannot be forged with %s where no token is asked for', async (field) => {
    const fields = await askWith(undefined, field, 'Authorization: Bearer whatever');
    const names = fields.filter((_, i) => i % 2 === 0).map((name) => name.toLowerCase().replaceAll('_', '-'));
    expect(names.filter((name) => name.startsWith('x-auth-') || name === 'authorization')).toEqual([]);
  });

  it.each([
    'Connection: close, X-Auth-Subject, X-Auth-Claims',
    'Connection: close, x-auth-subject, Host, Content-Length, X-Request-Id, X-Forwarded-For',
  ])('cannot be stripped with %s', async (connection) => {
    const fields = await askWith(tokenFor('ann'), connection);
    expect(fieldValues(fields, 'x-auth-subject')).toEqual(['ann']);
    expect(fieldValues(fields, 'x-auth-claims')).toHaveLength(1);
    expect(fieldValues(fields, 'x-request-id')).toHaveLength(1);
    expect(fieldValues(fields, 'x-forwarded-for')).toEqual(['127.0.0.1']);
    expect(fieldValues(fields, 'host')).toEqual(['gateway.test']);
  });

  it('arrives safely, whatever the subject is', async () => {
    const fields = await askWith(tokenFor('Ștefan\r\nX-Evil: 1'));
    expect(fieldValues(fields, 'x-auth-subject')).toEqual([encodeURIComponent('Ștefan\r\nX-Evil: 1')]);
    expect(fieldValues(fields, 'x-evil')).toEqual([]);
  });

  it('may be passed on by services among themselves', async () => {
    await using upstream = await startUpstream();
    await using gateway = await startGateway({ services: { '/budgeting': [upstream] } });
    await fetch(`${gateway.internal}/internal/budgeting/x`, { headers: { 'X-Auth-Subject': 'ann' } });
    expect(fieldValues(upstream.requests[0]?.fields ?? [], 'x-auth-subject')).toEqual(['ann']);
  });
});

it('hands a login on in full when it is too large to look into', async () => {
  const large = JSON.stringify({ padding: 'x'.repeat(100_000), token: tokenFor('ann') });
  await using users = await startUpstream((_req, res) => res.end(large));
  await using gateway = await startGateway({ services: { '/userManagement': [users] } });
  const answer = await post(gateway, '/userManagement/auth/login');
  expect(await answer.text()).toBe(large);
  expect(await gateway.metric('gateway_jwt_generated_total')).toBe(0);
});
