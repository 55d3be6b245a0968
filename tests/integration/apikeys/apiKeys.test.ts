import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import WebSocket from 'ws';
import { newKeyText } from '../../../lib/apikeys/keyText.ts';
import { fieldValue } from '../../../lib/http/fields.ts';
import { API_KEYS_GROUP } from '../../../lib/store/lasting.ts';
import {
  ADMIN_TOKEN,
  askKeys,
  makeKey,
  revokeKey,
  rotateKey,
  withKey,
} from '../../support/clients/apiKeys.ts';
import { RawClient, request, sendRaw } from '../../support/clients/rawClient.ts';
import { eventually } from '../../support/eventually.ts';
import {
  bearer,
  keepSecret,
  STORES,
  startGateway,
  type TestGateway,
  type TestGatewayOptions,
  tokenFor,
} from '../../support/gateway/gateway.ts';
import { expectProblem } from '../../support/gateway/problem.ts';
import { emptyTestRedis } from '../../support/stores/storeProbe.ts';
import { type Received, startUpstream, type Upstream } from '../../support/upstreams/upstream.ts';
import { startSocketService } from '../../support/upstreams/webSocket.ts';

// Real sockets and a Redis on a machine that may be busy.
jest.setTimeout(30_000);
const env = { ADMIN_TOKEN, LOG_LEVEL: 'debug' };

let upstream: Upstream;
beforeAll(async () => {
  upstream = await startUpstream();
});
afterAll(async () => {
  await upstream[Symbol.asyncDispose]();
});
beforeEach(emptyTestRedis);

const BOTH = { sources: ['bearer', 'apiKey'] };

/** A gateway with one service whose routes take keys, each in another way. */
const start = (more: Partial<TestGatewayOptions> = {}) =>
  startGateway({
    services: {
      '/jobs': {
        upstreams: [upstream],
        auth: BOTH,
        routes: [
          { match: { path: '/only/**' }, auth: { sources: ['apiKey'] } },
          { match: { path: '/other/**' }, auth: { sources: ['apiKey:X-Service-Key'] } },
          { match: { path: '/write/**' }, auth: { require: { scopes: ['jobs:write'] } } },
          { match: { path: '/role/**' }, auth: { require: { claims: { role: 'job' } } } },
          { match: { path: '/perhaps/**' }, auth: { need: 'optional' } },
          { match: { path: '/free/**' }, auth: 'none' },
          { match: { path: '/users/**' }, auth: { sources: ['bearer'] } },
          { match: { path: '/passes/**' }, passAuthorization: true },
        ],
      },
      '/plain': [upstream],
    },
    store: 'embedded',
    ...more,
    env: { ...env, ...more.env },
  });

const get = (gateway: TestGateway, path: string, headers: Record<string, string> = {}) =>
  fetch(gateway.external + path, { headers });

function lastReceived(): Received {
  const received = upstream.requests.at(-1);
  if (!received) throw new Error('nothing was received');
  return received;
}

describe.each(STORES)('API keys with the %s store', (store) => {
  it('are made, used, rotated and revoked', async () => {
    await using gateway = await start({ store });
    const { internal } = gateway;
    const made = await makeKey(internal);
    expect(made).toMatchObject({ name: 'nightly', owner: 'billing', status: 'active', scopes: [] });
    expect((await get(gateway, '/jobs/x', withKey(made.key))).status).toBe(200);
    const { fields } = lastReceived();
    expect(fieldValue(fields, 'x-auth-subject')).toBe(`apikey:${made.id}`);
    expect(fieldValue(fields, 'x-api-key')).toBeUndefined();

    const next = await rotateKey(internal, made.id, 60);
    for (const { key } of [made, next]) {
      expect((await get(gateway, '/jobs/x', withKey(key))).status).toBe(200);
    }
    const last = await rotateKey(internal, made.id);
    for (const { key } of [made, next]) {
      await expectProblem(await get(gateway, '/jobs/x', withKey(key)), 'api_key_revoked');
    }
    expect((await get(gateway, '/jobs/x', withKey(last.key))).status).toBe(200);
    await revokeKey(internal, made.id);
    await expectProblem(await get(gateway, '/jobs/x', withKey(last.key)), 'api_key_revoked');
    expect(await gateway.metric('gateway_api_key_success_total')).toBe(4);
    expect(await gateway.metric('gateway_api_key_errors_total', { problem: 'api_key_revoked' })).toBe(3);
  });

  it('are none the worse for a record of another one that cannot be read', async () => {
    await using gateway = await start({ store });
    const [hurt, good] = [await makeKey(gateway.internal), await makeKey(gateway.internal)];
    await gateway.gateway.parts.stores.tokens.putInGroup(API_KEYS_GROUP, `${hurt.id}.revoked`, 'nonsense');
    for (let n = 0; n < 3; n += 1) {
      expect((await get(gateway, '/jobs/x', withKey(good.key))).status).toBe(200);
      await expectProblem(await get(gateway, '/jobs/x', withKey(hurt.key)), 'store_unavailable');
    }
    await makeKey(gateway.internal);
    expect((await get(gateway, '/jobs/x', withKey(good.key))).status).toBe(200);
    expect(await gateway.metric('gateway_api_key_unreadable_total')).toBe(1);
    const told = gateway
      .logLines()
      .filter(({ message }) => String(message).startsWith('An API key is refused'));
    expect(told).toMatchObject([{ level: 'error' }]);
    expect(JSON.stringify(told)).toContain(`${hurt.id}.revoked`);
  });

  it('outlive the gateway', async () => {
    const DATA_DIR = mkdtempSync(join(tmpdir(), 'api-keys-'));
    const again = () => start({ store, env: { DATA_DIR } });
    let key: string;
    {
      await using gateway = await again();
      ({ key } = await makeKey(gateway.internal));
    }
    await using gateway = await again();
    expect((await get(gateway, '/jobs/x', withKey(key))).status).toBe(200);
    rmSync(DATA_DIR, { recursive: true });
  });
});

describe('API keys of two gateways on one Redis', () => {
  it('are changed on both at once', async () => {
    await using here = await start({ store: 'redis' });
    await using there = await start({ store: 'redis' });
    const made = await makeKey(here.internal);
    const status = async (gateway: TestGateway, key: string) =>
      (await get(gateway, '/jobs/x', withKey(key))).status;
    expect(await status(there, made.key)).toBe(200);
    const next = await rotateKey(here.internal, made.id);
    const rotatedAtMs = performance.now();
    await eventually('the old one is refused there', async () => (await status(there, made.key)) === 401);
    const seenAfterMs = performance.now() - rotatedAtMs;
    expect(await status(there, next.key)).toBe(200);
    await revokeKey(there.internal, made.id);
    await eventually('the new one is refused here', async () => (await status(here, next.key)) === 401);
    expect(seenAfterMs).toBeLessThan(100);
  });
});

describe('a route that takes API keys', () => {
  it('is one whose file says so, and no other', async () => {
    await using gateway = await start();
    const { key } = await makeKey(gateway.internal);
    await expectProblem(await get(gateway, '/plain/x', withKey(key)), 'token_missing');
    await expectProblem(await get(gateway, '/jobs/users/1', withKey(key)), 'token_missing');
    // What it does not take is the service's own business.
    await get(gateway, '/plain/x', { ...bearer(tokenFor('ann')), 'X-Api-Key': 'of-the-service' });
    expect(fieldValue(lastReceived().fields, 'x-api-key')).toBe('of-the-service');
  });

  it('says so to whoever brings nothing', async () => {
    await using gateway = await start();
    const challenge = 'Bearer, ApiKey field="x-api-key"';
    await expectProblem(await get(gateway, '/jobs/x'), 'token_missing', { challenge });
    await expectProblem(await get(gateway, '/jobs/only/x'), 'api_key_missing');
    await expectProblem(await get(gateway, '/jobs/other/x'), 'api_key_missing', {
      challenge: 'ApiKey field="x-service-key"',
    });
    expect(await gateway.metric('gateway_api_key_errors_total', { problem: 'api_key_missing' })).toBe(2);
  });

  it('takes a token as well where it says so, and nowhere else', async () => {
    await using gateway = await start();
    const token = bearer(tokenFor('ann'));
    expect((await get(gateway, '/jobs/x', token)).status).toBe(200);
    await expectProblem(await get(gateway, '/jobs/only/x', token), 'api_key_missing');
  });

  it('takes it in the field of its own', async () => {
    await using gateway = await start();
    const { key } = await makeKey(gateway.internal);
    expect((await get(gateway, '/jobs/other/x', { 'x-service-KEY': key })).status).toBe(200);
    expect(fieldValue(lastReceived().fields, 'x-service-key')).toBeUndefined();
    await expectProblem(await get(gateway, '/jobs/other/x', withKey(key)), 'api_key_missing', {
      challenge: 'ApiKey field="x-service-key"',
    });
    const asScheme = { Authorization: `ApiKey ${key}` };
    await expectProblem(await get(gateway, '/jobs/only/x', asScheme), 'api_key_missing');
  });

  it('refuses two, equal or not, and a key beside a token', async () => {
    await using gateway = await start();
    const { key } = await makeKey(gateway.internal);
    const line = `X-Api-Key: ${key}`;
    for (const more of [
      line,
      `x-api-key: ${key}x`,
      'X-API-KEY: ',
      `Authorization: Bearer ${tokenFor('ann')}`,
    ]) {
      const response = await sendRaw(gateway.external, request('GET /jobs/x', line, more));
      await expectProblem(response, 'api_key_invalid');
    }
  });

  it('refuses bad keys where none is needed as well', async () => {
    await using gateway = await start();
    const { key, id } = await makeKey(gateway.internal);
    expect((await get(gateway, '/jobs/perhaps/x')).status).toBe(200);
    expect(fieldValue(lastReceived().fields, 'x-auth-subject')).toBeUndefined();
    expect((await get(gateway, '/jobs/perhaps/x', withKey(key))).status).toBe(200);
    expect(fieldValue(lastReceived().fields, 'x-auth-subject')).toBe(`apikey:${id}`);
    await expectProblem(await get(gateway, '/jobs/perhaps/x', withKey('x')), 'api_key_invalid');
    // Where nobody is asked it is not looked at, and taken away all the same: it may be a good one.
    expect((await get(gateway, '/jobs/free/x', withKey('x'))).status).toBe(200);
    expect(fieldValue(lastReceived().fields, 'x-api-key')).toBeUndefined();
    expect(fieldValue(lastReceived().fields, 'x-auth-subject')).toBeUndefined();
  });

  it('asks of keys what it asks of tokens', async () => {
    await using gateway = await start();
    const { internal } = gateway;
    const none = await makeKey(internal);
    const full = await makeKey(internal, { scopes: ['jobs:read', 'jobs:write'], claims: { role: ['job'] } });
    const challenge = 'ApiKey error="insufficient_scope", scope="jobs:write"';
    const refused = await get(gateway, '/jobs/write/x', withKey(none.key));
    await expectProblem(refused, 'insufficient_scope', { challenge });
    expect((await get(gateway, '/jobs/role/x', withKey(none.key))).status).toBe(403);
    for (const path of ['write', 'role']) {
      expect((await get(gateway, `/jobs/${path}/x`, withKey(full.key))).status).toBe(200);
    }
    // What a key may is changed without a new one.
    const changed = await askKeys(internal, 'PATCH', `/${full.id}`, { scopes: [] });
    expect(await changed.json()).toMatchObject({ id: full.id, scopes: [], claims: { role: ['job'] } });
    expect((await get(gateway, '/jobs/write/x', withKey(full.key))).status).toBe(403);
  });

  it('hands the key on where the service may have it', async () => {
    await using gateway = await start();
    const { key } = await makeKey(gateway.internal);
    await get(gateway, '/jobs/passes/x', withKey(key));
    expect(fieldValue(lastReceived().fields, 'x-api-key')).toBe(key);
  });

  it('tells the service who it is in the words of a token, and lets no client say so', async () => {
    await using gateway = await start();
    const { key, id } = await makeKey(gateway.internal, { scopes: ['a'] });
    await get(gateway, '/jobs/x', { ...withKey(key), 'X-Auth-Subject': 'ann', 'X-Auth-Claims': 'e30' });
    const claims = fieldValue(lastReceived().fields, 'x-auth-claims') as string;
    expect(JSON.parse(Buffer.from(claims, 'base64url').toString())).toEqual({
      iss: 'urn:faf-cab-gateway:api-keys',
      sub: `apikey:${id}`,
      name: 'nightly',
      owner: 'billing',
      scope: 'a',
    });
  });

  it('is not the same caller as a user who is called like a key', async () => {
    let n = 0;
    await using counter = await startUpstream((_req, res) => {
      n += 1;
      res.setHeader('Cache-Control', 'max-age=60');
      res.end(String(n));
    });
    await using gateway = await start({ services: { '/jobs': { upstreams: [counter], auth: BOTH } } });
    const { key, id } = await makeKey(gateway.internal);
    const other = await makeKey(gateway.internal);
    const body = async (headers: Record<string, string>) => (await get(gateway, '/jobs/x', headers)).text();
    const user = bearer(tokenFor(`apikey:${id}`, { iss: 'urn:faf-cab-gateway:api-keys' }));
    const callers = [withKey(key), user, withKey(other.key)];
    const first = [];
    for (const caller of callers) first.push(await body(caller));
    expect(first).toEqual(['1', '2', '3']);
    for (const [index, caller] of callers.entries()) expect(await body(caller)).toBe(first[index]);
    // The new key is the same caller, and the user is not revoked with it.
    const next = await rotateKey(gateway.internal, id);
    expect(await body(withKey(next.key))).toBe('1');
    const subject = `apikey:${id}`;
    await fetch(`${gateway.internal}/admin/revocations`, {
      method: 'POST',
      headers: bearer(ADMIN_TOKEN),
      body: JSON.stringify({ subject }),
    });
    expect(await body(withKey(next.key))).toBe('1');
    expect((await get(gateway, '/jobs/x', user)).status).toBe(401);
  });

  it('keeps its responses from caches that cannot know of keys', async () => {
    await using shared = await startUpstream((_req, res) => {
      res.setHeader('Cache-Control', 'public, max-age=60').setHeader('Vary', 'X-Api-Key').end('ok');
    });
    await using gateway = await start({ services: { '/jobs': { upstreams: [shared], auth: BOTH } } });
    const { key } = await makeKey(gateway.internal);
    const response = await get(gateway, '/jobs/x', withKey(key));
    expect(response.headers.get('Cache-Control')).toBe('private, no-store');
  });

  it('limits each key for itself', async () => {
    await using gateway = await start({ env: { RATE_LIMIT_PER_IDENTITY: '2/1h' } });
    const [one, other] = [await makeKey(gateway.internal), await makeKey(gateway.internal)];
    const status = async (key: string) => (await get(gateway, '/jobs/x', withKey(key))).status;
    expect([await status(one.key), await status(one.key), await status(one.key)]).toEqual([200, 200, 429]);
    expect(await status(other.key)).toBe(200);
    const next = await rotateKey(gateway.internal, one.id);
    expect(await status(next.key)).toBe(429);
  });

  it('passes on the same after a failover', async () => {
    await using bad = await startUpstream((req) => void req.socket.destroy());
    await using good = await startUpstream();
    await using gateway = await start({
      services: { '/jobs': { upstreams: [bad, good], auth: BOTH } },
      random: () => 0,
    });
    const { key, id } = await makeKey(gateway.internal);
    for (let n = 0; n < 4; n += 1) expect((await get(gateway, `/jobs/${n}`, withKey(key))).status).toBe(200);
    expect(bad.requests.length).toBeGreaterThan(0);
    for (const { fields } of [...bad.requests, ...good.requests]) {
      expect(fieldValue(fields, 'x-auth-subject')).toBe(`apikey:${id}`);
      expect(fieldValue(fields, 'x-api-key')).toBeUndefined();
    }
  });

  it('does not let a key log out', async () => {
    await using gateway = await start({ env: { AUTH_REVOKE_PATHS: '/jobs/logout' } });
    const { key } = await makeKey(gateway.internal);
    const logout = (headers: Record<string, string>) =>
      fetch(`${gateway.external}/jobs/logout`, { method: 'POST', headers });
    expect((await logout(withKey(key))).status).toBe(401);
    expect((await get(gateway, '/jobs/x', withKey(key))).status).toBe(200);
  });
});

describe('what is under way with an API key', () => {
  const revocations = [
    { by: 'revoked', end: (gateway: TestGateway, id: string) => revokeKey(gateway.internal, id) },
    {
      by: 'rotated',
      end: async (gateway: TestGateway, id: string) => void (await rotateKey(gateway.internal, id)),
    },
    {
      by: 'expired',
      end: async (gateway: TestGateway, id: string) => {
        const expiresAt = new Date(Date.now() + 300).toISOString();
        expect((await askKeys(gateway.internal, 'PATCH', `/${id}`, { expiresAt })).status).toBe(200);
      },
    },
  ];

  it.each(revocations)('ends when the key is $by: streams and WebSockets', async ({ end }) => {
    await using sockets = await startSocketService();
    let written = 0;
    await using streams = await startUpstream((_req, res) => {
      res.setHeader('Content-Type', 'text/event-stream');
      const timer = setInterval(() => res.write(`data: ${written++}\n\n`), 20);
      res.on('close', () => clearInterval(timer));
    });
    await using gateway = await start({
      services: {
        '/chat': { upstreams: [sockets], auth: BOTH },
        '/events': { upstreams: [streams], auth: BOTH },
      },
    });
    const { key, id } = await makeKey(gateway.internal);
    const other = await makeKey(gateway.internal);
    const open = async (text: string) => {
      const socket = new WebSocket(`${gateway.external.replace('http:', 'ws:')}/chat/x`, {
        headers: withKey(text),
      });
      socket.on('error', () => {});
      await once(socket, 'open');
      return socket;
    };
    const [socket, kept] = [await open(key), await open(other.key)];
    expect(sockets.handshakes[0]?.headers).not.toHaveProperty('x-api-key');
    using stream = await RawClient.to(gateway.external);
    stream.send(`GET /events/x HTTP/1.1\r\nHost: g\r\nX-Api-Key: ${key}\r\n\r\n`);
    using other2 = await RawClient.to(gateway.external);
    other2.send(`GET /events/x HTTP/1.1\r\nHost: g\r\nX-Api-Key: ${other.key}\r\n\r\n`);
    await eventually(
      'both stream',
      () => stream.received.includes('data') && other2.received.includes('data'),
    );

    const closed = once(socket, 'close');
    await end(gateway, id);
    await closed;
    await eventually('the stream is cut', () => stream.ending);
    expect(stream.received.endsWith('0\r\n\r\n')).toBe(false);
    const before = other2.received.length;
    await eventually('the other stream goes on', () => other2.received.length > before);
    expect([kept.readyState, other2.ending]).toEqual([WebSocket.OPEN, undefined]);
    const line = await eventually('its line', () =>
      gateway.logLines().find(({ message }) => String(message).startsWith('GET /events/x')),
    );
    expect(line).toMatchObject({ apiKey: id, apiKeyOwner: 'billing' });
    expect(line.code).toMatch(/^api_key_(?:revoked|expired)$/);
    kept.close();
  });
});

describe('wrong API keys', () => {
  it('are refused, and the log says why without them', async () => {
    await using gateway = await start();
    const { key, id } = await makeKey(gateway.internal);
    const last = key.endsWith('0') ? '1' : '0';
    const mistyped = keepSecret(key.slice(0, -1) + last);
    const forged = keepSecret(newKeyText(id));
    const unknown = keepSecret(newKeyText('000000000000'));
    const cases: [string, string][] = [
      [mistyped, 'the checksum of the API key is wrong: it was mistyped or cut'],
      [forged, `the API key ${id} is not known`],
      [unknown, 'the API key 000000000000 is not known'],
      [key.slice(0, -3), 'the API key does not have the form of one'],
      [`${key}xyz`, 'the API key does not have the form of one'],
      [keepSecret('fafkey_'.repeat(1100)), 'the API key does not have the form of one'],
      [keepSecret('a-password-somebody-has-put-here'), 'the API key does not have the form of one'],
      [' ', 'the API key is empty'],
    ];
    for (const [text] of cases) {
      const response = await sendRaw(gateway.external, request('GET /jobs/only/x', `X-Api-Key: ${text}`));
      await expectProblem(response, 'api_key_invalid');
    }
    const unicode = await sendRaw(gateway.external, request('GET /jobs/x', 'X-Api-Key: fafkey_\xc3\xbc\xff'));
    await expectProblem(unicode, 'api_key_invalid');
    const problems = gateway
      .logLines()
      .flatMap(({ message, apiKeyProblem }) => (String(message).startsWith('GET ') ? [apiKeyProblem] : []));
    expect(problems.slice(0, cases.length)).toEqual(cases.map(([, problem]) => problem));
    expect(upstream.requests.some(({ target }) => target === '/only/x')).toBe(false);
  });

  it('ask the store nothing, however many there are', async () => {
    await using gateway = await start({ store: 'redis' });
    const { key } = await makeKey(gateway.internal);
    await get(gateway, '/jobs/x', withKey(key));
    const { tokens } = gateway.gateway.parts.stores;
    const getGroup = jest.spyOn(tokens, 'getGroup');
    const getOne = jest.spyOn(tokens, 'get');
    for (let n = 0; n < 300; n += 1) {
      const { status } = await get(gateway, '/jobs/only/x', withKey(newKeyText('000000000000')));
      expect(status).toBe(401);
    }
    expect((await get(gateway, '/jobs/only/x', withKey(key))).status).toBe(200);
    expect([getGroup.mock.calls, getOne.mock.calls]).toEqual([[], []]);
  });
});
