import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it, jest } from '@jest/globals';
import jwt from 'jsonwebtoken';
import { fieldValues } from '../../../lib/http/fields.ts';
import { RawClient, request, sendRaw } from '../../support/clients/rawClient.ts';
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
import { signText } from '../../support/tokens.ts';
import { sendJson, startUpstream, type Upstream } from '../../support/upstreams/upstream.ts';

// Real sockets and a Redis on a machine that may be busy.
jest.setTimeout(30_000);
const LOGIN = '/userManagement/auth/login';
const get = (gateway: TestGateway, token: string, path = '/budgeting/x') =>
  fetch(`${gateway.external}${path}`, { headers: bearer(token) });
const post = (gateway: TestGateway, path: string, headers: Record<string, string> = {}) =>
  fetch(`${gateway.external}${path}`, { method: 'POST', headers });

function start(service: Upstream, more: object = {}): Promise<TestGateway> {
  return startGateway({ services: { '/budgeting': [service], '/userManagement': [service] }, ...more });
}

/** As many claims as that, each of a few bytes. */
const claims = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, n) => [`c${n}`, n]));

describe('a token that is large', () => {
  it.each([
    ['of a megabyte', tokenFor('ann', { padding: 'x'.repeat(750_000) })],
    ['of 10,000 claims', tokenFor('ann', claims(10_000))],
    ['of a megabyte of nothing', 'x'.repeat(2 ** 20)],
  ])('%s is refused before anybody looks at it', async (_what, token) => {
    await using service = await startUpstream();
    await using gateway = await start(service);
    const answer = await sendRaw(
      gateway.external,
      request('GET /budgeting/x', `Authorization: Bearer ${token}`),
    );
    await expectProblem(answer, 'headers_too_large');
    expect(service.requests).toEqual([]);
    expect((await get(gateway, tokenFor('ann'))).status).toBe(200);
  });

  it('of 800 claims is as good as any, and reaches the service whole', async () => {
    await using service = await startUpstream();
    await using gateway = await start(service);
    const token = tokenFor('ann', claims(800));
    expect((await get(gateway, token)).status).toBe(200);
    const [given = ''] = fieldValues(service.requests[0]?.fields ?? [], 'x-auth-claims');
    expect(JSON.parse(Buffer.from(given, 'base64url').toString())).toMatchObject({
      sub: 'ann',
      ...claims(800),
    });
  });
});

describe('the Authorization field', () => {
  const token = tokenFor('ann');

  it.each([
    ['bEARER', `Authorization: bEARER ${token}`, 200],
    ['many blanks', `Authorization:    Bearer     ${token}   `, 200],
    ['a tab in front', `Authorization:\tBearer ${token}`, 200],
    ['a tab within', `Authorization: Bearer\t${token}`, 401],
    ['no blank', `Authorization: Bearer${token}`, 401],
    ['a colon', `Authorization: Bearer: ${token}`, 401],
    ['quotes', `Authorization: Bearer "${token}"`, 401],
    ['two tokens', `Authorization: Bearer ${token} ${token}`, 401],
    ['two tokens by comma', `Authorization: Bearer ${token},${token}`, 401],
    ['two schemes', `Authorization: Basic YTpi, Bearer ${token}`, 401],
    ['another name', `X-Authorization: Bearer ${token}`, 401],
    ['an underscore', `Authorization_: Bearer ${token}`, 401],
    ['a token in the query instead', `Cookie: access_token=${token}`, 401],
    ['a token that goes on', `Authorization: Bearer ${token}.x`, 401],
    ['a blank in the token', `Authorization: Bearer ${token.slice(0, 20)} ${token.slice(20)}`, 401],
    ['another encoding of the same signature', `Authorization: Bearer ${token}=`, 401],
    ['two fields', `Authorization: Bearer ${token}\r\nauthorization: Bearer ${token}`, 401],
    ['two fields, the second one empty', `Authorization: Bearer ${token}\r\nAuthorization:`, 401],
  ])('with %s', async (_what, field, status) => {
    await using service = await startUpstream();
    await using gateway = await start(service);
    const answer = await sendRaw(gateway.external, request(`GET /budgeting/x?access_token=${token}`, field));
    expect(answer.status).toBe(status);
    expect(service.requests).toHaveLength(status === 200 ? 1 : 0);
  });
});

describe('time', () => {
  it.each([
    ['expired a second ago', { exp: -1 }, 'token_expired'],
    ['expires now', { exp: 0 }, 'token_expired'],
    ['begins in a second', { nbf: 1 }, 'token_invalid'],
  ] as const)(
    'a token that %s is forgiven; without JWT_CLOCK_TOLERANCE it is refused',
    async (_what, dates, code) => {
      const clock = new ManualClock(Math.floor(Date.now() / 1000) * 1000);
      const nowSeconds = clock.now() / 1000;
      const token = tokenFor(
        'ann',
        Object.fromEntries(Object.entries(dates).map(([name, at]) => [name, nowSeconds + at])),
      );
      await using service = await startUpstream();
      await using strict = await start(service, { clock, env: { JWT_CLOCK_TOLERANCE: '0' } });
      await using tolerant = await start(service, { clock });
      await expectProblem(await get(strict, token), code);
      expect((await get(tolerant, token)).status).toBe(200);
    },
  );

  it('a token that was logged out stays so through the tolerance', async () => {
    const clock = new ManualClock(Math.floor(Date.now() / 1000) * 1000);
    const token = tokenFor('ann', { exp: clock.now() / 1000 + 10 });
    await using service = await startUpstream();
    await using gateway = await start(service, { clock, env: { JWT_CLOCK_TOLERANCE: '30s' } });
    expect((await post(gateway, '/userManagement/auth/logout', bearer(token))).status).toBe(200);
    for (let s = 0; s < 39; s += 1) {
      clock.advance(1_000);
      await expectProblem(await get(gateway, token), 'token_revoked');
    }
    clock.advance(1_000);
    await expectProblem(await get(gateway, token), 'token_expired');
  });
});

describe.each(STORES)('with the %s store', (store) => {
  it('a request that is under way when its token is revoked finishes', async () => {
    const arrived = deferred();
    const finish = deferred();
    await using service = await startUpstream(async (req, res) => {
      if (req.url !== '/slow') return void res.end('ok');
      res.write('begun ');
      arrived.resolve();
      await finish.promise;
      res.end('and ended');
    });
    await using gateway = await start(service, { store });
    const token = tokenFor('ann');
    const slow = get(gateway, token, '/budgeting/slow');
    await arrived.promise;
    expect((await post(gateway, '/userManagement/auth/logout', bearer(token))).status).toBe(200);
    await expectProblem(await get(gateway, token), 'token_revoked');
    finish.resolve();
    expect(await (await slow).text()).toBe('begun and ended');
  });

  it('a login response that holds a token of somebody who has logged out does not bring it back', async () => {
    await emptyTestRedis();
    const stolen = tokenFor('bob');
    await using service = await startUpstream((req, res) => {
      if (req.url === '/auth/login') sendJson(res, { access_token: stolen });
      else res.end('ok');
    });
    await using gateway = await start(service, { store });
    expect((await post(gateway, '/userManagement/auth/logout', bearer(stolen))).status).toBe(200);
    expect(await (await post(gateway, LOGIN)).json()).toEqual({ access_token: stolen });
    await expectProblem(await get(gateway, stolen), 'token_revoked');
    await expectProblem(await get(gateway, stolen, '/budgeting/y'), 'token_revoked');
  });

  it('a login response that holds the valid token of somebody else makes nobody anybody else', async () => {
    await emptyTestRedis();
    const [ann, bob] = [tokenFor('ann'), tokenFor('bob')];
    await using service = await startUpstream((req, res) => {
      if (req.url === '/auth/login') sendJson(res, { access_token: bob });
      else res.end(String(req.headers['x-auth-subject']));
    });
    await using gateway = await start(service, { store });
    await (await post(gateway, LOGIN, bearer(ann))).text();
    expect(await (await get(gateway, ann)).text()).toBe('ann');
    expect(await (await get(gateway, bob)).text()).toBe('bob');
    await using probe = await probeTokens(gateway);
    const kept = await eventually('both are noted', async () => {
      const keys = await probe.keys();
      return [ann, bob].every((token) => keys.includes(probe.nameOf(`token:${token}`))) && keys;
    });
    expect(JSON.parse((await probe.get(`token:${bob}`)) ?? '')).toMatchObject({ sub: 'bob' });
    expect(kept.filter((key) => key.startsWith('blacklist:'))).toEqual([]);
  });

  it('a login response that holds a token of another issuer is passed on, and opens nothing', async () => {
    const forged = keepSecret(jwt.sign({ sub: 'admin', iss: 'them' }, TEST_SECRET, { expiresIn: '1h' }));
    await using service = await startUpstream((_req, res) => sendJson(res, { token: forged }));
    await using gateway = await start(service, { store, env: { JWT_ISSUER: 'us' } });
    expect(await (await post(gateway, LOGIN)).json()).toEqual({ token: forged });
    await expectProblem(await get(gateway, forged), 'token_invalid');
    expect(await gateway.metric('gateway_jwt_generated_total')).toBe(0);
  });
});

it('a token that was logged out does not come back with its signature written another way', async () => {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
  const token = keepSecret(jwt.sign({ sub: 'ann' }, privateKey, { algorithm: 'ES256', expiresIn: '1h' }));
  // The last of 86 letters holds four bits that nobody decodes; it is one of A, Q, g and w.
  const respelt = keepSecret(
    token.slice(0, -1) + String.fromCharCode(token.charCodeAt(token.length - 1) + 1),
  );
  await using service = await startUpstream();
  await using gateway = await start(service, { env: { JWT_PUBLIC_KEY: pem } });
  expect((await get(gateway, respelt)).status).toBe(200);
  expect((await post(gateway, '/userManagement/auth/logout', bearer(token))).status).toBe(200);
  await expectProblem(await get(gateway, respelt), 'token_revoked');
});

describe('a token that is no JWT', () => {
  // Short: of longer ones V8 quotes a part.
  const part = keepSecret('part-of-a-secret');
  const encoded = (text: string) => Buffer.from(text).toString('base64url');
  const signed = (header: object) => signText(part, header, TEST_SECRET);

  it.each([
    ['in its header', `${encoded(part)}.${encoded('second')}.${encoded('third')}`],
    ['in its payload', signed({ alg: 'HS256' })],
    ['in its payload, which its header calls a JWT', signed({ alg: 'HS256', typ: 'JWT' })],
    ['in its signature', `${encoded('{"alg":"HS256"}')}.${encoded('{}')}.${encoded(part)}`],
  ])('leaves nothing of what it has %s in the log, sent or handed out', async (_where, token) => {
    await using service = await startUpstream((_req, res) =>
      sendJson(res, { access_token: keepSecret(token) }),
    );
    const gateway = await start(service, { env: { LOG_LEVEL: 'debug' } });
    expect((await post(gateway, LOGIN)).status).toBe(200);
    await expectProblem(await get(gateway, token), 'token_invalid');
    // Fails when a secret is in the log.
    await gateway.stop();
    const messages = gateway.logLines().map(({ message }) => message);
    expect(messages).toContain('JWT handed out by a service was not admitted');
    expect(messages).toContain('JWT refused: token_invalid');
  });
});

describe('a login response that never ends', () => {
  it('is passed on once the time for a response is over, and cut when it falls silent', async () => {
    const clock = new ManualClock();
    const begun = deferred();
    await using service = await startUpstream((_req, res) => {
      res.write('{"access_token":');
      begun.resolve();
    });
    await using gateway = await start(service, {
      clock,
      env: { REQUEST_TIMEOUT: '2s', UPSTREAM_TIMEOUT: '10s' },
    });
    using client = await RawClient.to(gateway.external);
    client.send(request(`POST ${LOGIN}`, 'Content-Length: 0'));
    await begun.promise;
    await eventually('it is held back', () => gateway.gateway.parts.limits.gateway.held === 1);
    // The hold begins with the first byte, which the gateway may still be about to read.
    await eventually('it is passed on', () => {
      clock.advance(500);
      return client.received.includes('{"access_token":');
    });
    expect((await client.head()).status).toBe(200);
    await eventually('it is cut', () => {
      clock.advance(1_000);
      return client.ending;
    });
    expect((await client.answer()).whole).toBe(false);
    await eventually('its place is free', () => gateway.gateway.parts.limits.gateway.held === 0);
  });

  it('leaves no place taken when its client does', async () => {
    await using service = await startUpstream((_req, res) => void res.write('{"token":'));
    await using gateway = await start(service);
    using client = await RawClient.to(gateway.external);
    client.send(request(`POST ${LOGIN}`, 'Content-Length: 0'));
    await eventually('it is under way', () => service.requests.length === 1);
    client.reset();
    await eventually('its place is free', () => gateway.gateway.parts.limits.gateway.held === 0);
    await eventually('the service knows', () => service.open === 0);
  });
});
