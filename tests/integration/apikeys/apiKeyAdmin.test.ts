import { afterAll, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import {
  ADMIN_TOKEN,
  askKeys,
  makeKey,
  revokeKey,
  rotateKey,
  type ShownKey,
  withKey,
} from '../../support/clients/apiKeys.ts';
import { eventually } from '../../support/eventually.ts';
import { startGateway } from '../../support/gateway/gateway.ts';
import { runGateway } from '../../support/gateway/gatewayRun.ts';
import { expectProblem } from '../../support/gateway/problem.ts';
import { startRedis } from '../../support/stores/redis.ts';
import { emptyTestRedis } from '../../support/stores/storeProbe.ts';
import { startUpstream, type Upstream } from '../../support/upstreams/upstream.ts';

// Real sockets and processes on a machine that may be busy.
jest.setTimeout(60_000);

let upstream: Upstream;
beforeAll(async () => {
  upstream = await startUpstream();
});
afterAll(async () => {
  await upstream[Symbol.asyncDispose]();
});
beforeEach(emptyTestRedis);

const services = () => ({ '/jobs': { upstreams: [upstream], auth: { sources: ['bearer', 'apiKey'] } } });
const start = (env: Record<string, string> = {}) =>
  startGateway({ services: services(), env: { ADMIN_TOKEN, ...env } });

const CONTROL = 'without control characters and without an API key; got';
const TIME =
  'an ISO 8601 time with an offset that is not over yet, such as 2030-01-31T12:00:00Z, or null for never';

describe('/admin/keys', () => {
  it('is not there without ADMIN_TOKEN, and for nobody without it', async () => {
    {
      await using gateway = await startGateway({ services: services() });
      expect((await askKeys(gateway.internal, 'GET')).status).toBe(404);
    }
    await using gateway = await start();
    await expectProblem(await askKeys(gateway.internal, 'GET', '', undefined, 'wrong'), 'admin_token_wrong');
    const { key } = await makeKey(gateway.internal);
    const withoutToken = await fetch(`${gateway.internal}/admin/keys`, { headers: withKey(key) });
    await expectProblem(withoutToken, 'admin_token_wrong');
    expect((await fetch(`${gateway.external}/admin/keys`)).status).toBe(404);
  });

  it('shows a key once, to nobody else and in no cache', async () => {
    await using gateway = await start();
    const response = await askKeys(gateway.internal, 'POST', '', {
      name: 'nightly',
      owner: 'billing',
      scopes: ['read'],
      claims: { tier: 'gold' },
      expiresAt: '2099-01-31T12:00:00+01:00',
    });
    const { key, ...made } = (await response.json()) as ShownKey;
    expect([response.status, response.headers.get('Cache-Control')]).toEqual([201, 'no-store']);
    expect(response.headers.get('Location')).toBe(`/admin/keys/${made.id}`);
    expect(made).toEqual({
      id: key.slice(7, 19),
      name: 'nightly',
      owner: 'billing',
      status: 'active',
      scopes: ['read'],
      claims: { tier: 'gold' },
      createdAt: expect.stringMatching(/^\d{4}-.*Z$/),
      rotatedAt: made.createdAt,
      expiresAt: '2099-01-31T11:00:00.000Z',
      lastUsedAt: null,
    });
    const again = await askKeys(gateway.internal, 'GET', `/${made.id}`);
    expect(await again.json()).toEqual(made);
    expect(await (await askKeys(gateway.internal, 'GET')).json()).toEqual({ keys: [made] });
  });

  it('says when a key was used, that it was revoked, and how long old ones are good', async () => {
    await using gateway = await start();
    const { key, id } = await makeKey(gateway.internal);
    await fetch(`${gateway.external}/jobs/x`, { headers: withKey(key) });
    const shown = async () => (await (await askKeys(gateway.internal, 'GET', `/${id}`)).json()) as ShownKey;
    await eventually('it is noted', async () => (await shown()).lastUsedAt !== null);
    expect(Math.abs(Date.now() - Date.parse(String((await shown()).lastUsedAt)))).toBeLessThan(60_000);
    await rotateKey(gateway.internal, id, 3600);
    expect((await shown()).replacedUntil).toHaveLength(1);
    await revokeKey(gateway.internal, id);
    expect(await shown()).toMatchObject({ status: 'revoked', revokedAt: expect.any(String) });
    await revokeKey(gateway.internal, id);
    await expectProblem(await askKeys(gateway.internal, 'POST', `/${id}/rotate`), 'api_key_conflict');
  });

  it('lists page by page, of one owner too', async () => {
    await using gateway = await start();
    const made: string[] = [];
    for (let n = 0; n < 5; n += 1) {
      made.unshift((await makeKey(gateway.internal, { owner: n === 2 ? 'other' : 'billing' })).id);
    }
    const page = async (query: string) => {
      const response = await askKeys(gateway.internal, 'GET', query);
      return (await response.json()) as { keys: ShownKey[]; next?: string };
    };
    const found: string[] = [];
    let next: string | undefined;
    do {
      const got = await page(`?limit=2${next === undefined ? '' : `&after=${next}`}`);
      expect(got.keys.length).toBeLessThanOrEqual(2);
      found.push(...got.keys.map(({ id }) => id));
      ({ next } = got);
    } while (next !== undefined);
    expect(found.toSorted()).toEqual(made.toSorted());
    expect((await page('?owner=other')).keys).toHaveLength(1);
    expect((await page('?owner=nobody')).keys).toEqual([]);
  });

  it.each<[string, string, unknown, string]>([
    ['POST', '', '', `name: expected a text of 1 to 128 characters ${CONTROL} nothing`],
    ['POST', '', { name: '', owner: 'x' }, `name: expected a text of 1 to 128 characters ${CONTROL} ""`],
    ['POST', '', { name: 'x', owner: 7 }, `owner: expected a text of 1 to 128 characters ${CONTROL} 7`],
    [
      'POST',
      '',
      { name: 'x\n', owner: 'x' },
      `name: expected a text of 1 to 128 characters ${CONTROL} "x\\n"`,
    ],
    ['POST', '', '{', 'expected a JSON object'],
    ['POST', '', '[]', 'expected a JSON object'],
    ['POST', '', { name: 'x', owner: 'x', scope: 'a' }, 'scope: no such field'],
    [
      'POST',
      '',
      { name: 'x', owner: 'x', expiresAt: 'tomorrow' },
      `expiresAt: expected ${TIME}; got "tomorrow"`,
    ],
    [
      'POST',
      '',
      { name: 'x', owner: 'x', expiresAt: '2001-01-01T00:00:00Z' },
      `expiresAt: expected ${TIME}; got "2001-01-01T00:00:00Z"`,
    ],
    [
      'POST',
      '/abcdefghijkl/rotate',
      { graceSeconds: -1 },
      'graceSeconds: expected a whole number of seconds from 0 to 2592000; got -1',
    ],
    ['PATCH', '/abcdefghijkl', {}, 'expected at least one field'],
    ['GET', '?limit=0', undefined, 'limit: expected a whole number from 1 to 500; got "0"'],
    ['GET', '?after=abc', undefined, 'after: expected the id of a key that is listed, got "abc"'],
    ['GET', '?page=2', undefined, 'page: no such field'],
  ])('%s %s with %j says what is accepted', async (method, path, body, detail) => {
    await using gateway = await start();
    const response = await askKeys(gateway.internal, method, path, body);
    expect([response.status, ((await response.json()) as { detail: string }).detail]).toEqual([400, detail]);
  });

  it.each([
    { sub: 'ann' },
    { iss: 'x' },
    { scope: 'a' },
    { exp: 1 },
    { a: { b: 1 } },
    { a: null },
    { a: 'x'.repeat(3000) },
  ])('refuses the claims %j', async (claims) => {
    await using gateway = await start();
    const response = await askKeys(gateway.internal, 'POST', '', { name: 'x', owner: 'x', claims });
    expect(response.status).toBe(400);
    expect(await response.text()).toContain('claims: expected an object of claims');
  });

  it.each(['GET', 'PATCH', 'DELETE'])('knows no other ids: %s', async (method) => {
    await using gateway = await start();
    for (const id of ['abcdefghijkl', 'x', '__proto__', 'a'.repeat(2000)]) {
      const body = method === 'PATCH' ? { name: 'x' } : undefined;
      await expectProblem(await askKeys(gateway.internal, method, `/${id}`, body), 'no_such_api_key');
    }
  });
});

it('without their store all keys are refused, and good again when it is back', async () => {
  const redis = await startRedis();
  await using gateway = await start({
    REDIS_URL: redis.url,
    AUTH_STORE_FAILURE: 'allow',
    STORE_TIMEOUT: '50ms',
  });
  const { key } = await makeKey(gateway.internal);
  const use = () => fetch(`${gateway.external}/jobs/x`, { headers: withKey(key) });
  expect((await use()).status).toBe(200);
  await redis.stop();
  await eventually('it is noticed', async () => (await use()).status === 503);
  await expectProblem(await use(), 'store_unavailable');
  expect((await askKeys(gateway.internal, 'POST', '', { name: 'x', owner: 'x' })).status).toBe(503);
});

it('with two workers a key is good, and revoked, at both of them at once', async () => {
  await using run = runGateway({
    services: services(),
    env: { ADMIN_TOKEN, WORKERS: '2', LOG_LEVEL: 'debug' },
  });
  const { external, internal } = await run.listening();
  const statuses = async (key: string) => {
    const seen = new Set<number>();
    for (let n = 0; n < 20; n += 1) {
      // A connection each, so that both workers have some.
      const response = await fetch(`${external}/jobs/x`, {
        headers: { ...withKey(key), Connection: 'close' },
      });
      seen.add(response.status);
    }
    return [...seen];
  };
  const { key, id } = await makeKey(internal);
  expect(await statuses(key)).toEqual([200]);
  const next = await rotateKey(internal, id);
  expect([await statuses(key), await statuses(next.key)]).toEqual([[401], [200]]);
  await revokeKey(internal, id);
  expect(await statuses(next.key)).toEqual([401]);
  await run.kill('SIGTERM');
});
