import { describe, expect, it } from '@jest/globals';
import { WebSocket } from 'ws';
import { fieldValue } from '../../../lib/http/fields.ts';
import { Sides } from '../../../lib/split/sides.ts';
import { eventually } from '../../support/eventually.ts';
import {
  bearer,
  startGateway,
  type TestGateway,
  type TestGatewayOptions,
  tokenFor,
} from '../../support/gateway/gateway.ts';
import { expectProblem } from '../../support/gateway/problem.ts';
import { startGated } from '../../support/upstreams/gated.ts';
import { refusedUrl, sendJson, startUpstream, type Upstream } from '../../support/upstreams/upstream.ts';
import { startSocketService } from '../../support/upstreams/webSocket.ts';

const USERS = Array.from({ length: 60 }, (_, n) => `user-${n}`);
const SPLIT = [
  { service: 'checkin', weight: 50 },
  { service: 'checkin-v2', weight: 50 },
];

/** Says which service it is. */
function startNamed(name: string): Promise<Upstream> {
  return startUpstream((_req, res) => {
    res.setHeader('Cache-Control', 'max-age=60');
    sendJson(res, { name });
  });
}

/** Both services with one split route, and what they need to go. */
async function started(
  options: Partial<Omit<TestGatewayOptions, 'services'>> & {
    readonly split?: typeof SPLIT;
    readonly route?: object;
    readonly one?: object;
    readonly two?: object;
  } = {},
) {
  const { split = SPLIT, route, one, two, ...more } = options;
  const [v1, v2] = await Promise.all([startNamed('v1'), startNamed('v2')]);
  const gateway = await startGateway({
    ...more,
    services: {
      '/checkin': { upstreams: [v1], routes: [{ match: { path: '/**' }, split, ...route }], ...one },
      '/checkin-v2': { upstreams: [v2], ...two },
    },
  });
  return {
    v1,
    v2,
    gateway,
    async [Symbol.asyncDispose]() {
      await gateway.stop();
      await Promise.all([v1, v2].map((upstream) => upstream[Symbol.asyncDispose]()));
    },
  };
}

/** Who responds to a user. */
async function sideOf(gateway: TestGateway, user: string, target = '/checkin/me'): Promise<string> {
  const response = await fetch(gateway.external + target, { headers: bearer(tokenFor(user)) });
  return ((await response.json()) as { readonly name: string }).name;
}

/** What follows from the user's point alone. */
function expectedSide(user: string, weights: readonly number[]): string {
  const sides = new Sides('/checkin', weights);
  return `v${sides.sideAt(sides.pointOf(`nobody sub string:${user}`)) + 1}`;
}

/** A user of one side or the other, by these weights. */
function userOn(side: 'v1' | 'v2', weights: readonly number[] = [50, 50]): string {
  return USERS.find((user) => expectedSide(user, weights) === side) as string;
}

describe('a route that is split', () => {
  it('keeps each user on the side of its point, in every gateway and after a restart', async () => {
    for (let run = 0; run < 2; run += 1) {
      await using setup = await started();
      const sides = await Promise.all(USERS.map((user) => sideOf(setup.gateway, user)));
      expect(sides).toEqual(USERS.map((user) => expectedSide(user, [50, 50])));
      expect(new Set(sides)).toEqual(new Set(['v1', 'v2']));
      // Another token of the same user, another path of the route.
      expect(await sideOf(setup.gateway, USERS[0] as string, '/checkin/other')).toBe(sides[0]);
    }
  });

  it.each([
    [0, 100, 'v2'],
    [100, 0, 'v1'],
  ])('gives everybody to the only side that has a weight, %d to %d', async (one, two, name) => {
    const split = [
      { service: 'checkin', weight: one },
      { service: 'checkin-v2', weight: two },
    ];
    await using setup = await started({ split });
    for (const user of USERS.slice(0, 20)) expect(await sideOf(setup.gateway, user)).toBe(name);
  });

  it('goes by the address of a client without an identity', async () => {
    await using setup = await started({
      route: { auth: 'none' },
      env: { TRUSTED_PROXIES: '127.0.0.1' },
    });
    const sides = new Sides('/checkin', [50, 50]);
    for (let n = 1; n < 20; n += 1) {
      const address = `192.0.2.${n}`;
      const response = await fetch(`${setup.gateway.external}/checkin/x`, {
        headers: { 'X-Forwarded-For': address },
      });
      const expected = `v${sides.sideAt(sides.pointOf(address)) + 1}`;
      expect(await response.json()).toEqual({ name: expected });
    }
  });

  it('gives each side the path that the route says, and tells what was cut', async () => {
    await using setup = await started();
    for (const [side, upstream] of [
      ['v1', setup.v1],
      ['v2', setup.v2],
    ] as const) {
      await sideOf(setup.gateway, userOn(side), '/checkin/a/b?x=1');
      const { target, fields } = upstream.requests.at(-1) as Upstream['requests'][number];
      expect([target, fieldValue(fields, 'x-forwarded-prefix')]).toEqual(['/a/b?x=1', '/checkin']);
    }
  });

  it('is rewritten, free-standing, beside a header that leads to one side', async () => {
    await using v1 = await startNamed('v1');
    await using v2 = await startNamed('v2');
    await using gateway = await startGateway({
      services: { '/checkin': [v1], '/checkin-v2': { upstreams: [`${v2.url.origin}/base`] } },
      routes: [
        { match: { path: '/api/checkin/**' }, split: SPLIT, rewrite: '/v/**' },
        {
          match: { path: '/api/checkin/**', headers: { 'x-canary': '1' } },
          service: 'checkin-v2',
          rewrite: '/v/**',
        },
      ],
    });
    const [one, two] = [userOn('v1'), userOn('v2')];
    expect(await sideOf(gateway, one, '/api/checkin/x')).toBe('v1');
    expect(await sideOf(gateway, two, '/api/checkin/x')).toBe('v2');
    expect(v1.requests.at(-1)?.target).toBe('/v/x');
    expect(v2.requests.at(-1)?.target).toBe('/base/v/x');
    const asked = await fetch(`${gateway.external}/api/checkin/x`, {
      headers: { ...bearer(tokenFor(one)), 'X-Canary': '1' },
    });
    expect(await asked.json()).toEqual({ name: 'v2' });
    const other = await fetch(`${gateway.external}/api/checkin/x`, {
      headers: { ...bearer(tokenFor(one)), 'X-Canary': '10' },
    });
    expect(await other.json()).toEqual({ name: 'v1' });
  });

  it('asks nobody for anything before the token is checked', async () => {
    await using setup = await started();
    await expectProblem(await fetch(`${setup.gateway.external}/checkin/x`), 'token_missing');
    expect([setup.v1.requests, setup.v2.requests]).toEqual([[], []]);
    await eventually('counted', async () => {
      const labels = { service: '/checkin', status: '401' };
      return (await setup.gateway.metric('gateway_requests_total', labels)) === 1;
    });
  });

  it('is counted and logged by the service that was chosen', async () => {
    await using setup = await started();
    await sideOf(setup.gateway, userOn('v2'));
    const line = await eventually('a line', () =>
      setup.gateway.logLines().find(({ route }) => route === '/checkin/**'),
    );
    expect(line).toMatchObject({ service: '/checkin-v2', status: 200, subject: userOn('v2') });
    expect(await setup.gateway.metric('gateway_requests_total', { service: '/checkin-v2' })).toBe(1);
    expect(await setup.gateway.metric('gateway_requests_total', { service: '/checkin' })).toBe(0);
  });

  it('shows the errors of a side that is down to the users of that side alone', async () => {
    await using v1 = await startNamed('v1');
    await using gateway = await startGateway({
      services: {
        '/checkin': { upstreams: [v1], routes: [{ match: { path: '/**' }, split: SPLIT }] },
        '/checkin-v2': [refusedUrl()],
      },
    });
    const failed = await fetch(`${gateway.external}/checkin/x`, { headers: bearer(tokenFor(userOn('v2'))) });
    await expectProblem(failed, 'upstream_unreachable');
    expect(await sideOf(gateway, userOn('v1'))).toBe('v1');
    expect(v1.requests.length).toBe(1);
  });
});

describe('what belongs to the side that was chosen', () => {
  it('is its cache, by its own terms', async () => {
    await using setup = await started({ two: { cache: 'off' } });
    const verdicts = async (user: string) => {
      const headers = bearer(tokenFor(user));
      const get = async () =>
        (await fetch(`${setup.gateway.external}/checkin/c`, { headers })).headers.get('x-cache');
      return [await get(), await get()];
    };
    expect(await verdicts(userOn('v1'))).toEqual(['MISS', 'HIT']);
    expect(await verdicts(userOn('v2'))).toEqual(['BYPASS', 'BYPASS']);
  });

  it('is what its service has stored for everybody, never what the other has', async () => {
    const shared = (name: string) =>
      startUpstream((_req, res) => {
        res.setHeader('Cache-Control', 'public, max-age=60');
        sendJson(res, { name });
      });
    await using v1 = await shared('v1');
    await using v2 = await shared('v2');
    await using gateway = await startGateway({
      services: {
        '/checkin': { upstreams: [v1], routes: [{ match: { path: '/**' }, split: SPLIT }] },
        '/checkin-v2': [v2],
      },
    });
    const of = (side: string) => USERS.filter((user) => expectedSide(user, [50, 50]) === side).slice(0, 4);
    for (const side of ['v1', 'v2'])
      for (const user of of(side)) expect(await sideOf(gateway, user)).toBe(side);
    expect([v1.requests.length, v2.requests.length]).toEqual([1, 1]);
  });

  it('are its permits, and its time', async () => {
    await using v1 = await startGated();
    await using v2 = await startGated();
    await using gateway = await startGateway({
      services: {
        '/checkin': {
          upstreams: [v1],
          concurrency: 1,
          cacheTtl: 'off',
          routes: [{ match: { path: '/**' }, split: SPLIT }],
        },
        '/checkin-v2': { upstreams: [v2], concurrency: 2, requestTimeout: '150ms', cacheTtl: 'off' },
      },
    });
    const [one, two] = [bearer(tokenFor(userOn('v1'))), bearer(tokenFor(userOn('v2')))];
    const get = (headers: { readonly Authorization: string }) =>
      fetch(`${gateway.external}/checkin/x`, { headers });
    const held = get(one);
    await eventually('a request at v1', () => v1.waiting.length === 1);
    await expectProblem(await get(one), 'service_busy');
    await expectProblem(await get(two), 'request_timeout');
    const status = { service: '/checkin-v2', status: '504' };
    await eventually(
      'its timeout',
      async () => (await gateway.metric('gateway_requests_total', status)) === 1,
    );
    v1.answerOne();
    expect((await held).status).toBe(200);
  });

  it('are permits that the route has for itself, whichever side is chosen', async () => {
    await using v1 = await startGated();
    await using v2 = await startGated();
    await using gateway = await startGateway({
      services: {
        '/checkin': {
          upstreams: [v1],
          cacheTtl: 'off',
          routes: [{ match: { path: '/**' }, split: SPLIT, limits: { concurrency: 1 } }],
        },
        '/checkin-v2': { upstreams: [v2], cacheTtl: 'off' },
      },
    });
    const get = (user: string) => fetch(`${gateway.external}/checkin/x`, { headers: bearer(tokenFor(user)) });
    const held = get(userOn('v1'));
    await eventually('a request at v1', () => v1.waiting.length === 1);
    await expectProblem(await get(userOn('v2')), 'service_busy');
    expect(await gateway.metric('gateway_route_concurrent_requests', { route: '/checkin/**' })).toBe(1);
    v1.answerOne();
    expect((await held).status).toBe(200);
  });
});

describe('WebSockets, logins and logouts over a split', () => {
  it('a WebSocket goes to the side of its user', async () => {
    await using v1 = await startSocketService();
    await using v2 = await startSocketService();
    await using gateway = await startGateway({
      services: {
        '/checkin': { upstreams: [v1], routes: [{ match: { path: '/**' }, split: SPLIT }] },
        '/checkin-v2': [v2],
      },
    });
    for (const side of ['v1', 'v2'] as const) {
      const socket = new WebSocket(`${gateway.external.replace('http', 'ws')}/checkin/hub`, {
        headers: bearer(tokenFor(userOn(side))),
      });
      await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
      expect((side === 'v1' ? v1 : v2).handshakes.map(({ target }) => target)).toEqual(['/hub']);
      socket.terminate();
    }
  });

  it('a WebSocket of another page goes there as well with a cookie that only names its replica', async () => {
    await using v1 = await startSocketService();
    await using v2 = await startSocketService();
    const sticky = { balance: { sticky: 'cookie' } } as const;
    const cors = { origins: ['https://app.faf.example'] };
    await using gateway = await startGateway({
      services: {
        '/checkin': { upstreams: [v1], cors, routes: [{ match: { path: '/**' }, split: SPLIT, ...sticky }] },
        '/checkin-v2': { upstreams: [v2], ...sticky },
      },
    });
    const user = userOn('v1');
    const handshake = async (cookie?: string) => {
      const socket = new WebSocket(`${gateway.external.replace('http', 'ws')}/checkin/hub`, {
        headers: {
          ...bearer(tokenFor(user)),
          Origin: 'https://other.faf.example',
          ...(cookie && { Cookie: cookie }),
        },
      });
      let given = '';
      socket.on('upgrade', ({ headers }) => {
        given = headers['set-cookie']?.[0]?.split(';')[0] ?? '';
      });
      await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
      socket.terminate();
      return given;
    };
    const cookie = await handshake();
    expect(cookie).toMatch(/^replica-/);
    expect(await handshake(cookie)).toBe('');
    await expect(handshake(`${cookie}; session=1`)).rejects.toThrow('403');
  });

  it.each(['v1', 'v2'] as const)(
    'a token handed out by %s is good, and revoked on the way out',
    async (side) => {
      const token = tokenFor(userOn(side));
      const [one, two] = await Promise.all(
        ['v1', 'v2'].map((name) =>
          startUpstream((req, res) => sendJson(res, req.url?.includes('login') ? { token } : { name })),
        ),
      );
      await using v1 = one as Upstream;
      await using v2 = two as Upstream;
      const routes = [
        { match: { path: '/**' }, split: SPLIT },
        { match: { path: '/login' }, token: 'issue' as const, split: SPLIT },
        { match: { path: '/logout' }, token: 'revoke' as const, split: SPLIT },
      ];
      await using gateway = await startGateway({
        services: { '/checkin': { upstreams: [v1], routes }, '/checkin-v2': [v2] },
      });
      const ask = (method: string, target: string) =>
        fetch(gateway.external + target, { method, headers: bearer(token) });
      const login = await fetch(`${gateway.external}/checkin/login`, { method: 'POST', body: '{}' });
      expect(await login.json()).toEqual({ token });
      expect(await (await ask('GET', '/checkin/me')).json()).toEqual({ name: side });
      expect(await (await ask('POST', '/checkin/logout')).json()).toEqual({ name: side });
      await expectProblem(await ask('GET', '/checkin/me'), 'token_revoked');
    },
  );

  it('a path that revokes at one side revokes, whatever leads there', async () => {
    await using v1 = await startNamed('v1');
    await using v2 = await startNamed('v2');
    await using gateway = await startGateway({
      services: { '/checkin': [v1], '/checkin-v2': [v2] },
      routes: [{ match: { path: '/api/**' }, split: SPLIT, rewrite: '/**' }],
      env: { AUTH_REVOKE_PATHS: '/checkin-v2/auth/logout' },
    });
    for (const side of ['v1', 'v2'] as const) {
      const headers = bearer(tokenFor(userOn(side)));
      const out = await fetch(`${gateway.external}/api/auth/logout`, { method: 'POST', headers });
      expect(await out.json()).toEqual({ name: side });
      await expectProblem(await fetch(`${gateway.external}/api/x`, { headers }), 'token_revoked');
    }
  });
});
