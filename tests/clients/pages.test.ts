import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Page } from 'playwright-core';
import { type Browser, startBrowser } from '../support/clients/browser.ts';
import { echoIn, fetchIn, type PageRequest, type PageResponse } from '../support/clients/pageCalls.ts';
import { eventually } from '../support/eventually.ts';
import { bearer, keepSecret, tokenFor } from '../support/gateway/gateway.ts';
import { type GatewayProcess, startGatewayProcess } from '../support/gateway/gatewayProcess.ts';
import { type ProblemCode, TABLE } from '../support/gateway/problem.ts';
import { INSTALLS_WITHIN_MS } from '../support/processes/command.ts';
import { type GatedUpstream, startGated } from '../support/upstreams/gated.ts';
import { startService } from '../support/upstreams/service.ts';
import { refusedUrl, startUpstream, type Upstream } from '../support/upstreams/upstream.ts';
import { type SocketService, startSocketService } from '../support/upstreams/webSocket.ts';

const TEST_TAKES_AT_MOST_MS = 30_000;
const LOGIN = {
  method: 'POST',
  headers: { 'Content-Type': 'application/json' },
  body: JSON.stringify({ username: 'test@example.com', password: 'password' }),
};
/** Pages may send cookies along or not; what they may read is the same. */
const CREDENTIALS = ['include', 'omit'] as const;

const stack = new AsyncDisposableStack();
let browser: Browser;
let gateway: GatewayProcess;
/** Never asked before its test: a service whose requests the test answers. */
let gated: GatedUpstream;
/** Sets a cookie that is no token. */
let shop: Upstream;
let chat: SocketService;
/** Of the origin that the gateway's file names, and of another on the same host, so that cookies go along from both. */
let app: Page;
let evil: Page;
let token: string;

beforeAll(async () => {
  browser = stack.use(await startBrowser());
  const servesPage = (_req: unknown, res: { end(text: string): void }) => res.end('a page');
  const [appOrigin, evilOrigin] = [
    stack.use(await startUpstream(servesPage)),
    stack.use(await startUpstream(servesPage)),
  ];
  gated = stack.use(await startGated());
  chat = stack.use(await startSocketService());
  shop = stack.use(
    await startUpstream((_req, res) => {
      res.setHeader('X-Own', 'own').setHeader('X-Named', 'named');
      res.setHeader('Set-Cookie', 'basket=mine; HttpOnly; SameSite=Lax; Path=/').end('the shop');
    }),
  );
  const [userManagement, budgeting, notification] = await Promise.all(
    (['userManagement', 'budgeting', 'notification'] as const).map(async (name) =>
      stack.use(await startService(name)),
    ),
  );
  gateway = stack.use(
    await startGatewayProcess({
      defaults: {
        cors: { origins: [appOrigin.url.origin], credentials: true, exposeHeaders: ['X-Named'] },
      },
      services: {
        '/userManagement': userManagement ? [userManagement] : [],
        '/budgeting': {
          upstreams: budgeting ? [budgeting] : [],
          routes: [{ match: { methods: ['POST'], path: '/uploads' }, limits: { body: '1KiB' } }],
        },
        '/notification': {
          upstreams: notification ? [notification] : [],
          requestTimeout: '300ms',
          breaker: 'off',
        },
        '/shop': { upstreams: [shop], auth: 'none' },
        '/chat': [chat],
        '/office': { upstreams: [shop], auth: { require: { claims: { role: ['admin'] } } } },
        '/session': { upstreams: [shop], auth: { sources: ['cookie:session'] } },
        '/room': { upstreams: [chat], auth: { sources: ['cookie:session', 'bearer'] } },
        '/gated': { upstreams: [gated], concurrency: 1 },
        '/dead': { upstreams: [refusedUrl()], breaker: 'off' },
        '/tripped': { upstreams: [refusedUrl()] },
      },
      routes: [
        { match: { methods: ['GET'], path: '/only/get' }, service: 'budgeting', rewrite: '/api/balance' },
        {
          match: { path: '/closed/**' },
          respond: { status: 503, body: { error: 'noon' }, retryAfter: '10m' },
        },
        { match: { path: '/moved/**' }, redirect: { to: '/budgeting/api/**', status: 308 } },
        {
          match: { path: '/everybody' },
          service: 'shop',
          auth: 'none',
          cors: { origins: '*', credentials: false },
        },
      ],
      env: { CIRCUIT_BREAKER_COOLDOWN: '1h' },
    }),
  );
  for (let failures = 0; failures < 3; failures++) await fetch(`${gateway.internal}/internal/tripped/x`);
  app = await browser.open(appOrigin.url.href);
  evil = await browser.open(evilOrigin.url.href);
  token = tokenFor('ann');
}, INSTALLS_WITHIN_MS);

afterAll(() => stack.disposeAsync(), TEST_TAKES_AT_MOST_MS);

function ask(page: Page, path: string, request: PageRequest = {}, withToken = true) {
  const headers = { ...(withToken ? bearer(token) : {}), ...request.headers };
  return fetchIn(page, gateway.external + path, { ...request, headers });
}

describe.each(CREDENTIALS)('a page of an allowed origin, credentials: %s', (credentials) => {
  it(
    'logs in with JSON, reads with the token, sees what came from the cache, and logs out',
    async () => {
      const login = await ask(app, '/userManagement/auth/login', { ...LOGIN, credentials }, false);
      expect(login?.status).toBe(200);
      const own = bearer(keepSecret(JSON.parse(login?.body ?? '').access_token));
      // The cache is the user's, not the page's: each kind of request needs a target of its own.
      const path = `/budgeting/api/transactions?cookies=${credentials}`;
      const read = () => ask(app, path, { headers: own, credentials }, false);
      expect(await read()).toMatchObject({ status: 200, fields: { 'x-cache': 'MISS' } });
      const second = await read();
      expect(second).toMatchObject({ status: 200, fields: { 'x-cache': 'HIT' } });
      expect(second?.body).toContain('tx_001');
      const logout = { method: 'POST', headers: own, credentials };
      expect(await ask(app, '/userManagement/auth/logout', logout, false)).toMatchObject({ status: 200 });
      const refused = await read();
      expect([refused?.status, JSON.parse(refused?.body ?? '').code]).toEqual([401, 'token_revoked']);
    },
    TEST_TAKES_AT_MOST_MS,
  );

  it.each<[ProblemCode, string, PageRequest & { readonly withToken?: boolean }]>([
    ['bad_request', '/budgeting/a%2f..%2fb', {}],
    ['token_missing', '/budgeting/api/balance', { withToken: false }],
    ['token_invalid', '/budgeting/api/balance', { headers: { Authorization: 'Bearer a.b.c' } }],
    ['insufficient_scope', '/office/x', {}],
    ['no_such_service', '/nowhere', {}],
    ['method_not_allowed', '/only/get', { method: 'DELETE' }],
    ['body_too_large', '/budgeting/uploads', { method: 'POST', body: 'x'.repeat(2048) }],
    ['upstream_unreachable', '/dead/x', {}],
    ['circuit_open', '/tripped/x', {}],
    ['request_timeout', '/notification/slow?ms=60000', {}],
  ])(
    'reads a refusal: %s',
    async (code, path, { withToken, ...request }) => {
      const response = await ask(app, path, { ...request, credentials }, withToken);
      expectReadable(response, code);
      expect(await ask(evil, path, { ...request, credentials }, withToken)).toBeUndefined();
    },
    TEST_TAKES_AT_MOST_MS,
  );

  it(
    'reads that a service is busy',
    async () => {
      const held = ask(app, `/gated/held?cookies=${credentials}`, { credentials });
      await eventually('the first request arrives', () => gated.waiting.length === 1);
      expectReadable(await ask(app, '/gated/one-too-many', { credentials }), 'service_busy');
      gated.answerOne();
      expect(await held).toMatchObject({ status: 200, body: 'ok' });
    },
    TEST_TAKES_AT_MOST_MS,
  );

  it('reads a maintenance response, and follows a redirect to where it reads', async () => {
    const closed = await ask(app, '/closed/x', { credentials });
    expect(closed).toMatchObject({ status: 503, body: '{"error":"noon"}' });
    expect(closed?.fields).toMatchObject({ 'retry-after': '600', 'x-request-id': expect.any(String) });
    const moved = await ask(app, '/moved/balance', { credentials });
    expect(moved).toMatchObject({ status: 200, redirected: true });
    expect(moved?.url).toBe(`${gateway.external}/budgeting/api/balance`);
  });

  it('reads the fields that the file names, and none of the others', async () => {
    const { fields = {} } = (await ask(app, '/shop/x', { credentials })) ?? {};
    expect(fields).toMatchObject({ 'x-named': 'named', 'x-request-id': expect.any(String) });
    expect(fields).not.toHaveProperty('x-own');
  });

  it(
    'follows a stream of events, each as it comes, and ends it',
    async () => {
      const headers = { ...bearer(token), Accept: 'text/event-stream' };
      const following = app.evaluateHandle(
        async ([url, init]) => {
          const controller = new AbortController();
          const { body } = await fetch(url, { ...init, signal: controller.signal });
          const reader = body?.pipeThrough(new TextDecoderStream()).getReader();
          return { read: () => reader?.read(), abort: () => controller.abort() };
        },
        [`${gateway.external}/gated/events`, { headers, credentials }] as const,
      );
      await eventually('the request arrives', () => gated.waiting.length === 1);
      const [res] = gated.waiting as [ServerResponse];
      res.writeHead(200, { 'Content-Type': 'text/event-stream' }).flushHeaders();
      const events = await following;
      for (const event of ['data: one\n\n', 'data: two\n\n']) {
        res.write(event);
        expect(await events.evaluate(({ read }) => read())).toEqual({ done: false, value: event });
      }
      const left = once(res, 'close');
      await events.evaluate(({ abort }) => abort());
      await left;
      expect(res.writableEnded).toBe(false);
    },
    TEST_TAKES_AT_MOST_MS,
  );
});

describe.each(CREDENTIALS)('a page of another origin, credentials: %s', (credentials) => {
  it('reads nothing, and what needs a preflight never reaches the service', async () => {
    const before = shop.requests.length;
    for (const request of [LOGIN, { method: 'DELETE' }, { headers: bearer(token) }])
      expect(await ask(evil, '/shop/x', { ...request, credentials }, false)).toBeUndefined();
    expect(shop.requests).toHaveLength(before);
    expect(await ask(evil, '/shop/x', { credentials }, false)).toBeUndefined();
    expect(await ask(evil, '/closed/x', { credentials }, false)).toBeUndefined();
    expect(await ask(evil, '/moved/balance', { credentials }, false)).toBeUndefined();
  });
});

it('a page of any origin reads what is for everybody, unless it sends cookies along', async () => {
  expect(await ask(evil, '/everybody', { credentials: 'omit' }, false)).toMatchObject({ body: 'the shop' });
  expect(await ask(evil, '/everybody', { credentials: 'include' }, false)).toBeUndefined();
});

describe('a token in a cookie', () => {
  beforeAll(async () => {
    const { hostname } = new URL(gateway.external);
    const cookie = { name: 'session', value: token, domain: hostname, path: '/' };
    await app.context().addCookies([{ ...cookie, httpOnly: true, sameSite: 'Lax' }]);
  });
  afterAll(() => app.context().clearCookies());

  it('lets a page of an allowed origin read and change what its user may, if it sends cookies along', async () => {
    for (const method of ['GET', 'POST', 'DELETE'])
      expect(await ask(app, '/session/x', { method, credentials: 'include' }, false)).toMatchObject({
        status: 200,
        body: 'the shop',
      });
    expectReadable(await ask(app, '/session/x', { credentials: 'omit' }, false), 'token_missing');
    expect(await echoIn(app, `${gateway.external}/room/x`, 'tea?')).toBe('tea?');
  });

  it('lets another page change nothing, read nothing, and open no WebSocket', async () => {
    const before = shop.requests.length;
    const simple = { method: 'POST', body: 'what a form could send', credentials: 'include' } as const;
    expect(await ask(evil, '/session/x', simple, false)).toBeUndefined();
    expect(
      await ask(evil, '/session/x', { method: 'DELETE', credentials: 'include' }, false),
    ).toBeUndefined();
    expect(shop.requests).toHaveLength(before);
    expect(await ask(evil, '/session/x', { credentials: 'include' }, false)).toBeUndefined();
    expect(await echoIn(evil, `${gateway.external}/room/x`, 'tea?')).toBeUndefined();
  });
});

describe('a WebSocket', () => {
  const url = () => `${gateway.external}/chat/room`;

  it('of a page of an allowed origin is let in by a token among its subprotocols, cookies or not', async () => {
    await app.context().clearCookies();
    expect(await echoIn(app, url(), 'tea?', ['bearer', token])).toBe('tea?');
    await ask(app, '/shop/x', { credentials: 'include' }, false);
    expect(await echoIn(app, url(), 'tea?', ['bearer', token])).toBe('tea?');
    expect(chat.handshakes.at(-1)?.headers.cookie).toBe('basket=mine');
    expect(await echoIn(app, url(), 'tea?', ['bearer', 'a.b.c'])).toBeUndefined();
    expect(await echoIn(app, url(), 'tea?')).toBeUndefined();
  });

  it('of another page is refused when the browser adds cookies, whatever token it brings', async () => {
    await ask(app, '/shop/x', { credentials: 'include' }, false);
    const before = chat.handshakes.length;
    expect(await echoIn(evil, url(), 'tea?', ['bearer', token])).toBeUndefined();
    expect(chat.handshakes).toHaveLength(before);
    await evil.context().clearCookies();
    expect(await echoIn(evil, url(), 'tea?', ['bearer', token])).toBe('tea?');
  });
});

/** Asserts that the page could read all that the gateway says of this refusal. */
function expectReadable(response: PageResponse | undefined, code: ProblemCode): void {
  const [status, title] = TABLE[code];
  const { fields = {}, body = '{}' } = response ?? {};
  expect({ status: response?.status, ...JSON.parse(body) }).toMatchObject({ status, title, code });
  expect(fields['x-request-id']).toBe(JSON.parse(body).requestId);
  expect(fields['proxy-status']).toContain(code);
  expect(fields['content-type']).toBe('application/problem+json');
  if (status === 429 || status === 503) expect(fields['retry-after']).toMatch(/^\d+$/);
  if (status === 401 || status === 403) expect(fields['www-authenticate']).toMatch(/^Bearer/);
}
