import { afterAll, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import WebSocket from 'ws';
import { request, sendRaw } from '../../support/clients/rawClient.ts';
import { eventually } from '../../support/eventually.ts';
import {
  bearer,
  keepSecret,
  STORES,
  startGateway,
  type TestGateway,
  tokenFor,
} from '../../support/gateway/gateway.ts';
import { expectProblem } from '../../support/gateway/problem.ts';
import { ManualClock } from '../../support/manualClock.ts';
import { emptyTestRedis } from '../../support/stores/storeProbe.ts';
import { startUpstream, type Upstream } from '../../support/upstreams/upstream.ts';
import { startSocketService } from '../../support/upstreams/webSocket.ts';

// Real sockets and a Redis on a machine that may be busy.
jest.setTimeout(30_000);
const ADMIN_TOKEN = keepSecret('an-admin-token-that-is-long-enough-for-anybody');
const env = { ADMIN_TOKEN };

let upstream: Upstream;
beforeAll(async () => {
  upstream = await startUpstream();
});
afterAll(async () => {
  await upstream[Symbol.asyncDispose]();
});

const get = (gateway: TestGateway, token: string) =>
  fetch(`${gateway.external}/budgeting/x`, { headers: bearer(token) });

/** Asks the internal port, as an operator does. */
const admin = (gateway: TestGateway, method: string, path: string, body?: unknown, token = ADMIN_TOKEN) =>
  fetch(`${gateway.internal}${path}`, {
    method,
    headers: bearer(token),
    body: body === undefined ? null : JSON.stringify(body),
  });

type Shown = Record<string, string> & { readonly id: string };

async function revoke(gateway: TestGateway, body: unknown): Promise<Shown> {
  const answer = await admin(gateway, 'POST', '/admin/revocations', body);
  const revocation = (await answer.json()) as Shown;
  expect({ status: answer.status, revocation }).toMatchObject({ status: 201 });
  expect(answer.headers.get('Location')).toBe(`/admin/revocations/${revocation.id}`);
  return revocation;
}

async function listOf(gateway: TestGateway): Promise<Shown[]> {
  const answer = await admin(gateway, 'GET', '/admin/revocations');
  return ((await answer.json()) as { revocations: Shown[] }).revocations;
}

/** The moment this many seconds from now, as `iat` and as JSON. */
const secondsFromNow = (seconds: number) => Math.floor(Date.now() / 1000) + seconds;

describe.each(STORES)('revocations with the %s store', (store) => {
  beforeEach(emptyTestRedis);
  const start = (more: object = {}) =>
    startGateway({ services: { '/budgeting': [upstream] }, store, env, ...more });

  it('by token: that one only, hot or not', async () => {
    await using gateway = await start();
    const [hot, other] = [tokenFor('ann'), tokenFor('ann')];
    expect((await get(gateway, hot)).status).toBe(200);
    expect(await revoke(gateway, { token: hot })).toMatchObject({
      subject: 'ann',
      tokenSha256: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
    await expectProblem(await get(gateway, hot), 'token_revoked');
    expect((await get(gateway, other)).status).toBe(200);
  });

  it('by jti', async () => {
    await using gateway = await start();
    const [named, other] = [tokenFor('ann', { jti: 'the-one' }), tokenFor('ann', { jti: 'another' })];
    expect((await get(gateway, named)).status).toBe(200);
    expect(await revoke(gateway, { jti: 'the-one' })).toMatchObject({ jti: 'the-one' });
    await expectProblem(await get(gateway, named), 'token_revoked');
    expect((await get(gateway, other)).status).toBe(200);
  });

  it('by subject: what was issued before now, of nobody else', async () => {
    await using gateway = await start();
    const before = tokenFor('ann', { iat: secondsFromNow(-60) });
    const later = tokenFor('ann', { iat: secondsFromNow(60) });
    const bob = tokenFor('bob', { iat: secondsFromNow(-60) });
    for (const token of [before, later, bob]) expect((await get(gateway, token)).status).toBe(200);
    await revoke(gateway, { subject: 'ann' });
    await expectProblem(await get(gateway, before), 'token_revoked');
    expect((await get(gateway, later)).status).toBe(200);
    expect((await get(gateway, bob)).status).toBe(200);
  });

  it('by subject and moment, and a later order with an earlier moment takes nothing back', async () => {
    await using gateway = await start();
    const issuedBefore = new Date(secondsFromNow(-100) * 1000).toISOString();
    const [old, young] = [-200, -50].map((at) => tokenFor('ann', { iat: secondsFromNow(at) })) as [
      string,
      string,
    ];
    await revoke(gateway, { subject: 'ann', issuedBefore });
    await revoke(gateway, { subject: 'ann', issuedBefore: new Date(0).toISOString() });
    await expectProblem(await get(gateway, old), 'token_revoked');
    expect((await get(gateway, young)).status).toBe(200);
  });

  it('are listed, the newest first, and can be undone', async () => {
    await using gateway = await start();
    const token = tokenFor('ann', { jti: 'one', iat: secondsFromNow(-5) });
    const first = await revoke(gateway, { jti: 'one' });
    const second = await revoke(gateway, { subject: 'ann' });
    expect((await listOf(gateway)).map(({ id }) => id).sort()).toEqual([first.id, second.id].sort());
    const undo = (id: string) => admin(gateway, 'DELETE', `/admin/revocations/${id}`);
    expect((await undo(first.id)).status).toBe(204);
    await expectProblem(await get(gateway, token), 'token_revoked');
    expect((await undo(second.id)).status).toBe(204);
    expect((await get(gateway, token)).status).toBe(200);
    await expectProblem(await undo(second.id), 'no_such_revocation');
    expect(await listOf(gateway)).toEqual([]);
  });

  it('are seen by the other gateway, and by one that starts later', async () => {
    await using gateway = await start();
    const shared = { env: { ...env, DATA_DIR: gateway.gateway.parts.settings.dataDir } };
    await using second = await start(shared);
    const token = tokenFor('ann', { iat: secondsFromNow(-5) });
    expect((await get(second, token)).status).toBe(200);
    const { id } = await revoke(gateway, { subject: 'ann' });
    await eventually('it is refused there', async () => (await get(second, token)).status === 401);
    await using third = await start(shared);
    await expectProblem(await get(third, token), 'token_revoked');
    await admin(gateway, 'DELETE', `/admin/revocations/${id}`);
    await eventually('it is accepted there', async () => (await get(second, token)).status === 200);
  });

  it('last until the token has expired, by subject until no token can be left', async () => {
    const clock = new ManualClock();
    await using gateway = await start({ clock, env: { ...env, JWT_MAX_LIFETIME: '2h' } });
    const nowSeconds = Math.floor(clock.now() / 1000);
    const dated = { iat: nowSeconds, exp: nowSeconds + 3600 };
    await revoke(gateway, { token: tokenFor('ann', dated) });
    await revoke(gateway, { subject: 'ann' });
    const token = tokenFor('ann', dated);
    await expectProblem(await get(gateway, token), 'token_revoked');
    // And the clock tolerance, and a day in case that a clock is wrong.
    clock.advance(25 * 3_600_000 + 6_000);
    expect(await listOf(gateway)).toMatchObject([{ subject: 'ann' }]);
    clock.advance(3_600_000);
    expect(await listOf(gateway)).toEqual([]);
  });

  it('are refused with 503, never made to look done, while the store is away', async () => {
    await using gateway = await start();
    await gateway.gateway.parts.stores.close();
    await expectProblem(
      await admin(gateway, 'POST', '/admin/revocations', { subject: 'ann' }),
      'store_unavailable',
    );
    await expectProblem(await admin(gateway, 'GET', '/admin/revocations'), 'store_unavailable');
  });
});

it('refuses one revocation more than every gateway can keep', async () => {
  await emptyTestRedis();
  await using gateway = await startGateway({ services: { '/budgeting': [upstream] }, store: 'redis', env });
  const { tokens } = gateway.gateway.parts.stores;
  const lasting = { kind: 'jti', jti: 'a', createdAtMs: 0, expiresAtMs: Date.now() + 3_600_000 };
  const ids = Array.from({ length: 10_000 }, (_, n) => String(n));
  await Promise.all(
    ids.map((id) => tokens.putInGroup('revocations', id, JSON.stringify({ ...lasting, id }))),
  );
  await expectProblem(
    await admin(gateway, 'POST', '/admin/revocations', { jti: 'b' }),
    'too_many_revocations',
  );
  await expectProblem(await get(gateway, tokenFor('ann', { jti: 'a' })), 'token_revoked');
  expect((await get(gateway, tokenFor('ann'))).status).toBe(200);
  await emptyTestRedis();
});

describe('the admin routes', () => {
  const start = (more: Record<string, string> = env) =>
    startGateway({ services: { '/budgeting': [upstream] }, env: more });

  it.each([
    ['without a token', ['Cookie: a=b']],
    ['with a wrong one', ['Authorization: Bearer wrong']],
    ['with a part of it', [`Authorization: Bearer ${ADMIN_TOKEN.slice(0, -1)}`]],
    ['with more than it', [`Authorization: Bearer ${ADMIN_TOKEN}x`]],
    ['with a user token', [`Authorization: Bearer ${tokenFor('ann')}`]],
    ['by Basic', [`Authorization: Basic ${Buffer.from(`admin:${ADMIN_TOKEN}`).toString('base64')}`]],
    ['with two', [`Authorization: Bearer ${ADMIN_TOKEN}`, `Authorization: Bearer ${ADMIN_TOKEN}`]],
  ])('are closed %s, whatever the path, and say so in the log', async (_how, fields) => {
    await using gateway = await start();
    for (const path of ['/admin/revocations', '/admin/nothing', '/admin']) {
      await expectProblem(
        await sendRaw(gateway.internal, request(`GET ${path}`, ...fields)),
        'admin_token_wrong',
      );
    }
    const refusals = gateway.logLines().filter(({ message }) => message === 'Admin: refused');
    expect(refusals).toHaveLength(3);
    expect(refusals[0]).toMatchObject({ peer: expect.any(String), requestId: expect.any(String) });
  });

  it('slow down who guesses the token, and nobody else', async () => {
    const clock = new ManualClock();
    await using gateway = await startGateway({
      services: { '/budgeting': [upstream] },
      env: { ...env, INTERNAL_HOST: '::' },
      clock,
    });
    const { port } = new URL(gateway.internal);
    // The machine as seen from another of its addresses.
    const fromElsewhere = (token: string) =>
      fetch(`http://[::1]:${port}/admin/revocations`, { headers: bearer(token) });
    const guess = () => admin(gateway, 'GET', '/admin/revocations', undefined, 'guess');
    const statuses = [];
    for (let n = 0; n < 500; n += 1) statuses.push((await guess()).status);
    expect(statuses).toEqual([...Array(5).fill(401), ...Array(495).fill(429)]);
    await expectProblem(await guess(), 'admin_guesses_limited', { retryAfter: 1 });
    // The right one would tell a guesser that it is right.
    await expectProblem(await admin(gateway, 'GET', '/admin/revocations'), 'admin_guesses_limited', {
      retryAfter: 1,
    });
    expect((await fromElsewhere(ADMIN_TOKEN)).status).toBe(200);
    expect(await gateway.metric('gateway_admin_refused_total', { outcome: 'wrong_token' })).toBe(5);
    expect(await gateway.metric('gateway_admin_refused_total', { outcome: 'too_many' })).toBe(497);
    const lines = gateway.logLines().filter(({ message }) => String(message).startsWith('Admin: '));
    expect(lines.map(({ message }) => message)).toEqual([
      ...Array(5).fill('Admin: refused'),
      'Admin: too many wrong tokens, and nothing from this peer is looked at for a while',
    ]);
    clock.advance(1_000);
    expect((await guess()).status).toBe(401);
    await expectProblem(await guess(), 'admin_guesses_limited', { retryAfter: 2 });
    clock.advance(2_000);
    expect((await admin(gateway, 'GET', '/admin/revocations')).status).toBe(200);
    expect((await guess()).status).toBe(401);
  });

  it('do not exist without ADMIN_TOKEN, nor on the external port, nor under other names', async () => {
    await using without = await start({});
    for (const path of ['/admin/revocations', '/admin']) {
      await expectProblem(await admin(without, 'GET', path), 'no_such_service');
    }
    await using gateway = await start();
    const outside = await fetch(`${gateway.external}/admin/revocations`, { headers: bearer(ADMIN_TOKEN) });
    await expectProblem(outside, 'no_such_service');
    for (const path of [
      '/admin',
      '/admin/nothing',
      '/ADMIN/revocations',
      '/administrator',
      '/internal/admin',
    ]) {
      await expectProblem(await admin(gateway, 'GET', path), 'no_such_service');
    }
  });

  it.each([
    ['nothing', undefined],
    ['text', 'ann'],
    ['no order', {}],
    ['two orders', { jti: 'a', subject: 'b' }],
    ['an empty jti', { jti: '' }],
    ['a jti that is none', { jti: 1 }],
    ['a moment for a jti', { jti: 'a', issuedBefore: '2026-01-01T00:00:00Z' }],
    ['a moment that is none', { subject: 'ann', issuedBefore: 'yesterday' }],
    ['a misspelt field', { subject: 'ann', issuedBefor: '2026-01-01T00:00:00Z' }],
    ['a token that is none', { token: 'x' }],
    ['an expired token', { token: tokenFor('ann', { exp: 1_000 }) }],
    ['half a character', { subject: '\ud800' }],
    ['a subject that no token has', { subject: 'x'.repeat(1_025) }],
    ['too much', { subject: 'x'.repeat(100_000) }],
  ])('refuse to revoke %s', async (_what, body) => {
    await using gateway = await start();
    await expectProblem(await admin(gateway, 'POST', '/admin/revocations', body), 'bad_revocation');
    expect(await listOf(gateway)).toEqual([]);
  });

  it('take a subject as long as any token has, and a token as long as any', async () => {
    await using gateway = await start();
    const subject = 'x'.repeat(1_024);
    await revoke(gateway, { subject });
    await expectProblem(await get(gateway, tokenFor(subject, { iat: secondsFromNow(-5) })), 'token_revoked');
    await revoke(gateway, { token: tokenFor('ann', { padding: 'x'.repeat(40_000) }) });
  });

  it('take JSON whatever its type is called, and refuse what is none', async () => {
    await using gateway = await start();
    const post = (body: string) =>
      fetch(`${gateway.internal}/admin/revocations`, {
        method: 'POST',
        headers: { ...bearer(ADMIN_TOKEN), 'Content-Type': 'application/x-www-form-urlencoded' },
        body,
      });
    expect((await post('{"jti":"a"}')).status).toBe(201);
    await expectProblem(await post('{"jti":'), 'bad_revocation');
  });

  it('log every use, without the token', async () => {
    await using gateway = await start();
    const token = tokenFor('ann');
    const { id } = await revoke(gateway, { token });
    await admin(gateway, 'DELETE', `/admin/revocations/${id}`);
    const uses = gateway.logLines().filter(({ message }) => String(message).startsWith('Admin:'));
    expect(uses).toMatchObject([
      { message: 'Admin: revoked', id, kind: 'token', subject: 'ann', peer: expect.any(String) },
      { message: 'Admin: revocation undone', id, requestId: expect.any(String) },
    ]);
    expect(await gateway.metric('gateway_requests_total', { service: '/admin' })).toBe(2);
  });
});

describe('a WebSocket', () => {
  it.each(['logout', 'revocation'])('is cut soon after the %s of its token, and no other is', async (how) => {
    await using echo = await startSocketService();
    await using gateway = await startGateway({
      services: { '/chat': [echo], '/userManagement': [upstream] },
      env,
    });
    const open = (token: string) => {
      const socket = new WebSocket(`${gateway.external.replace('http', 'ws')}/chat`, {
        headers: bearer(token),
      });
      return new Promise<WebSocket>((resolve) => socket.once('open', () => resolve(socket)));
    };
    const [leaving, staying] = [tokenFor('ann'), tokenFor('bob')];
    const [cut, kept] = [await open(leaving), await open(staying)];
    cut.on('error', () => {});
    if (how === 'logout') {
      await fetch(`${gateway.external}/userManagement/auth/logout`, {
        method: 'POST',
        headers: bearer(leaving),
      });
    } else await revoke(gateway, { token: leaving });
    await eventually('it is cut', () => cut.readyState === WebSocket.CLOSED);
    expect(kept.readyState).toBe(WebSocket.OPEN);
    await eventually('the service knows', () => echo.sockets.size === 1);
    kept.close();
  });
});

describe.each(STORES)('purging the cache with the %s store', (store) => {
  beforeEach(emptyTestRedis);

  it('is for whoever has the admin token', async () => {
    await using gateway = await startGateway({ services: { '/budgeting': [upstream] }, store, env });
    const token = tokenFor('ann');
    const verdict = async () => (await get(gateway, token)).headers.get('X-Cache');
    await eventually('it is cached', async () => (await verdict()) === 'HIT');
    const purge = { service: '/budgeting' };
    await expectProblem(await admin(gateway, 'POST', '/admin/cache/purge', purge, 'x'), 'admin_token_wrong');
    expect(await verdict()).toBe('HIT');
    expect((await admin(gateway, 'POST', '/admin/cache/purge', purge)).status).toBe(204);
    expect(await verdict()).toBe('MISS');
  });

  it.each(['budgeting-service', 'padstack_Budgeting_Service', 'budgeting'])(
    'takes %s for its service',
    async (service) => {
      const services = { '/budgeting': { upstreams: [upstream], aliases: ['budgeting-service'] } };
      await using gateway = await startGateway({ services, store, env });
      const token = tokenFor('ann');
      const verdict = async () => (await get(gateway, token)).headers.get('X-Cache');
      await eventually('it is cached', async () => (await verdict()) === 'HIT');
      expect((await admin(gateway, 'POST', '/admin/cache/purge', { service })).status).toBe(204);
      expect(await verdict()).toBe('MISS');
    },
  );

  it.each([
    ['budgetting', 'did you mean budgeting?'],
    ['/budgetting', 'did you mean budgeting?'],
    ['/orders', 'expected a path, such as /budgeting, or a name'],
    ['_'.repeat(30_000), 'expected a path, such as /budgeting, or a name'],
  ])('does not pass for purged what is no service (%#)', async (service, hint) => {
    await using gateway = await startGateway({ services: { '/budgeting': [upstream] }, store, env });
    const answer = await admin(gateway, 'POST', '/admin/cache/purge', { service });
    const { detail } = (await answer.json()) as { detail: string };
    expect({ status: answer.status, detail }).toEqual({
      status: 400,
      detail: `service: no service is called ${JSON.stringify(service.slice(0, 60))}: ${hint}`,
    });
  });

  it('does not pass for purged what can be stored under no path', async () => {
    await using gateway = await startGateway({ services: { '/budgeting': [upstream] }, store, env });
    const statuses: number[] = [];
    for (const target of [
      { url: '/budgeting?x' },
      { url: '/budgeting/x' },
      { prefix: '/' },
      { prefix: '/budg' },
      { prefix: '/budgeting/x' },
      { url: '/budget' },
      { url: '/api/x' },
      { prefix: '/budgeting2' },
    ]) {
      const { status } = await admin(gateway, 'POST', '/admin/cache/purge', target);
      statuses.push(status);
    }
    expect(statuses).toEqual([204, 204, 204, 204, 204, 400, 400, 400]);
  });

  it('says what is wrong with what it was asked', async () => {
    await using gateway = await startGateway({ services: { '/budgeting': [upstream] }, store, env });
    const answer = await admin(gateway, 'POST', '/admin/cache/purge', { everything: true });
    expect(answer.status).toBe(400);
    expect(await answer.text()).toContain('url, prefix, service, tag');
  });
});
