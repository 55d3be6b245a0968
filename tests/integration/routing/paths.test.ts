import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { RawClient, request, sendRaw } from '../../support/clients/rawClient.ts';
import { startGateway, type TestGateway, tokenFor } from '../../support/gateway/gateway.ts';
import { startUpstream, type Upstream } from '../../support/upstreams/upstream.ts';

const authorization = `Authorization: Bearer ${tokenFor('ann')}`;

const DOTS = [
  '..',
  '.%2e',
  '%2E.',
  '%2e%2E',
  '..;',
  '..;a=b',
  '%2e%2e;',
  '..%3b',
  '%c0%ae%c0%ae',
  '%e0%80%ae.',
];
const SLASHES = ['/', '%2f', '%2F', '\\', '%5c', '%5C', '//', '/./', '%c0%af', '/%2e/', '/;/', '%u002f'];
/** What a traversal out of `/up/x` would be after. */
const TARGETS = ['other/x', 'metrics', 'healthz', 'internal/other/x', 'userManagement/auth/login'];

const traversals = DOTS.flatMap((dots) =>
  SLASHES.flatMap((slash) => TARGETS.map((target) => `/up${slash}${dots}${slash}${target}`)),
);

let up: Upstream;
let other: Upstream;
let users: Upstream;
let test: TestGateway;

beforeAll(async () => {
  [up, other, users] = await Promise.all([startUpstream(), startUpstream(), startUpstream()]);
  const services = { '/up': [up], '/other': [other], '/userManagement': [users] };
  test = await startGateway({ services, env: { GET_CACHE_TTL: 'off' } });
});
let before = 0;
beforeEach(() => {
  before = users.requests.length;
});
afterAll(async () => {
  await test.stop();
  for (const upstream of [up, other, users]) await upstream[Symbol.asyncDispose]();
});

it.each(['external', 'internal'] as const)(
  'no encoding of .. and / leads from one service to anything else, on the %s port',
  async (port) => {
    const mount = port === 'external' ? '' : '/internal';
    for (const target of traversals) {
      const answer = await sendRaw(test[port], request(`GET ${mount}${target}`, authorization));
      const verdict = [target, answer.status, other.requests.length, users.requests.length];
      expect(verdict).toEqual([target, expect.any(Number), 0, before]);
      expect([400, 404]).toContain(answer.status);
      expect(answer.body).not.toContain('gateway_requests_total');
    }
    expect(up.requests).toEqual([]);
  },
  60_000,
);

describe('the service is named by the raw first segment:', () => {
  it.each([
    '/UP/x',
    '/Up/x',
    '/%75p/x',
    '/u%70/x',
    '/up%2fx',
    '/up;a/x',
    '/up.',
    '/up%20/x',
    '//up/x',
    '/./up/x',
    '/;/up/x',
    '/up%00/x',
    '/up%3fx',
  ])('%s names none', async (target) => {
    expect((await sendRaw(test.external, request(`GET ${target}`, authorization))).status).toBe(404);
    expect(up.requests).toEqual([]);
  });

  it.each(['/internal/up/x', '/Internal/up/x', '/%69nternal/up/x', '//internal/up/x', '/internal%2fup/x'])(
    '%s is nothing outside',
    async (target) => {
      expect((await sendRaw(test.external, request(`GET ${target}`, authorization))).status).toBe(404);
      expect(up.requests).toEqual([]);
    },
  );
});

describe('a public path is public by every byte:', () => {
  it.each([
    '/userManagement/auth/login/',
    '/userManagement/auth/login//',
    '/userManagement/auth//login',
    '/userManagement//auth/login',
    '/userManagement/auth/login;x',
    '/userManagement/auth/login%20',
    '/userManagement/auth/Login',
    '/userManagement/AUTH/login',
    '/userManagement/auth%2flogin',
    '/userManagement/auth/%6cogin',
    '/userManagement/x/auth/login',
    '/userManagement/auth/login/x',
    '/userManagement/auth/logi',
    '/userManagement/auth/login%3fx',
    '/userManagement/admin?/auth/login',
    '/up/auth/login',
  ])('POST %s needs a token', async (target) => {
    const answer = await sendRaw(test.external, request(`POST ${target}`, 'Content-Length: 0'));
    expect(answer.status).toBe(401);
    expect(users.requests).toHaveLength(before);
  });

  it.each(['GET', 'PUT', 'HEAD', 'OPTIONS', 'post'])('%s of it needs a token', async (method) => {
    using client = await RawClient.to(test.external);
    client.send(request(`${method} /userManagement/auth/login`));
    expect((await client.head('HEAD')).status).toBe(method === 'post' ? 501 : 401);
    expect(users.requests).toHaveLength(before);
  });

  it('POST with any query needs none', async () => {
    const answer = await sendRaw(
      test.external,
      request('POST /userManagement/auth/login?a=/../x', 'Content-Length: 0'),
    );
    expect(answer.status).toBe(200);
  });
});

it.each([
  '/up//x',
  '/up/a%2fb',
  '/up/a;b/c',
  '/up/%7Euser',
  '/up/...',
  '/up/.well-known/x',
  '/up/a..b',
  '/up/caf%C3%A9',
  '/up/%C0x',
  '/up/%25',
])('%s goes on byte for byte', async (target) => {
  expect((await sendRaw(test.external, request(`GET ${target}`, authorization))).status).toBe(200);
  expect(up.requests.at(-1)?.target).toBe(target.slice('/up'.length));
});
