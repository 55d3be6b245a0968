import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Page } from 'playwright-core';
import { type Browser, startBrowser } from '../support/clients/browser.ts';
import { startGateway, type TestGateway, tokenFor } from '../support/gateway/gateway.ts';
import { INSTALLS_WITHIN_MS } from '../support/processes/command.ts';
import { refusedUrl, startUpstream, type Upstream } from '../support/upstreams/upstream.ts';
import { startSocketService } from '../support/upstreams/webSocket.ts';

const TEST_TAKES_AT_MOST_MS = 30_000;

const stack = new AsyncDisposableStack();
let browser: Browser;
let gateway: TestGateway;
let shop: Upstream;
/** Pages on ports of their own, so of other origins than the gateway. */
let application: Page;
let stranger: Page;

async function startPages(): Promise<URL> {
  const pages = stack.use(
    await startUpstream((_req, res) => void res.setHeader('Content-Type', 'text/html').end('<p>page')),
  );
  return pages.url;
}

beforeAll(async () => {
  browser = stack.use(await startBrowser());
  const [ours, others] = [await startPages(), await startPages()];
  shop = stack.use(
    await startUpstream((req, res) => {
      if (req.url === '/login') res.setHeader('Set-Cookie', 'session=1; Path=/');
      if (req.url === '/silent') return;
      if (req.url === '/stream') {
        res.setHeader('Content-Type', 'text/event-stream');
        res.write('data: one\n\n');
        return;
      }
      res
        .setHeader('X-Total', '3')
        .end(JSON.stringify({ method: req.method, cookie: req.headers.cookie ?? null }));
    }),
  );
  const chat = stack.use(await startSocketService());
  gateway = await startGateway({
    defaults: { cors: { origins: [ours.origin], credentials: true, exposeHeaders: ['X-Total'] } },
    services: {
      '/shop': {
        upstreams: [shop],
        routes: [
          { match: { path: '/catalog/**' }, auth: 'none', cors: { origins: '*', credentials: false } },
          { match: { path: '/stream' }, auth: 'none' },
          { match: { path: '/login' }, auth: 'none' },
          { match: { path: '/private' }, deny: ['127.0.0.1'] },
          { match: { path: '/admins' }, auth: { require: { scopes: ['admin'] } } },
          { match: { path: '/small' }, limits: { body: 4 } },
          { match: { path: '/silent' }, timeouts: { request: '200ms' } },
        ],
      },
      '/rated': { upstreams: [shop] },
      '/gone': { upstreams: [refusedUrl()], breaker: 'off' },
      '/broken': { upstreams: [refusedUrl()], breaker: { threshold: 1 }, retry: 'off' },
      '/chat': { upstreams: [chat], auth: 'none' },
    },
    routes: [{ match: { path: '/reports', methods: ['GET'] }, service: 'shop' }],
    env: { RATE_LIMIT_PER_IDENTITY: '3/1m' },
  });
  stack.defer(() => gateway.stop());
  [application, stranger] = [await browser.open(ours.href), await browser.open(others.href)];
}, INSTALLS_WITHIN_MS);

afterAll(() => stack.disposeAsync(), TEST_TAKES_AT_MOST_MS);

interface Asked {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string;
  readonly credentials?: 'include' | 'omit';
}

/** What the script of a page sees of a response; `blocked` where its browser keeps it from the script. */
async function ask(page: Page, path: string, asked: Asked = {}) {
  return await page.evaluate(
    async ([url, options]) => {
      try {
        const response = await fetch(url, options as RequestInit);
        const text = await response.text();
        return {
          status: response.status,
          body: JSON.parse(text || 'null'),
          fields: Object.fromEntries(response.headers),
        };
      } catch {
        return 'blocked';
      }
    },
    [gateway.external + path, asked] as const,
  );
}

/** Whether a page's WebSocket opens. */
async function opens(page: Page, path: string): Promise<boolean> {
  return await page.evaluate(
    (url) =>
      new Promise<boolean>((resolve) => {
        const socket = new WebSocket(url);
        socket.onopen = () => resolve(true);
        socket.onerror = () => resolve(false);
      }),
    gateway.external.replace('http', 'ws') + path,
  );
}

const authorized = (subject: string) => ({ Authorization: `Bearer ${tokenFor(subject)}` });

describe('a page of an allowed origin', () => {
  it(
    'asks with its token, in any way, and reads what it gets',
    async () => {
      for (const method of ['GET', 'PUT', 'PATCH', 'DELETE']) {
        const headers = { ...authorized(method), 'X-Custom': '1', 'Content-Type': 'application/json' };
        expect(await ask(application, '/shop/x', { method, headers })).toMatchObject({
          status: 200,
          body: { method },
          fields: { 'x-total': '3', 'x-request-id': expect.any(String), 'x-cache': expect.any(String) },
        });
      }
    },
    TEST_TAKES_AT_MOST_MS,
  );

  it(
    'reads every refusal',
    async () => {
      expect(await ask(application, '/shop/x', { headers: { Authorization: 'Bearer x.y.z' } })).toMatchObject(
        {
          status: 401,
          body: { code: 'token_invalid' },
          fields: { 'www-authenticate': expect.stringContaining('invalid_token') },
        },
      );
      expect(await ask(application, '/nowhere', { method: 'DELETE' })).toMatchObject({ status: 404 });
      const headers = authorized('eager');
      for (const _ of [1, 2, 3]) await ask(application, '/rated/x', { headers });
      expect(await ask(application, '/rated/x', { headers })).toMatchObject({
        status: 429,
        body: { code: 'rate_limited' },
        fields: { 'retry-after': expect.any(String), ratelimit: expect.any(String) },
      });
    },
    TEST_TAKES_AT_MOST_MS,
  );

  it.each([
    ['GET', '/shop/admins', 403, 'insufficient_scope'],
    ['GET', '/shop/private', 403, 'address_refused'],
    ['POST', '/reports', 405, 'method_not_allowed'],
    ['POST', '/shop/small', 413, 'body_too_large'],
    ['GET', '/gone/x', 502, 'upstream_unreachable'],
    ['GET', '/broken/x', 503, 'circuit_open'],
    ['GET', '/shop/silent', 504, 'request_timeout'],
  ])(
    'reads that %s %s is refused with %d %s',
    async (method, path, status, code) => {
      const asked = {
        method,
        headers: authorized(`${status} ${code}`),
        ...(method === 'POST' && { body: 'long content' }),
      };
      // The second one meets a breaker that the first has opened.
      if (code === 'circuit_open') await ask(application, path, asked);
      expect(await ask(application, path, asked)).toMatchObject({
        status,
        body: { code },
        fields: { 'x-request-id': expect.any(String) },
      });
      expect(await ask(stranger, path, asked)).toBe('blocked');
    },
    TEST_TAKES_AT_MOST_MS,
  );

  it(
    'is known by its cookie where credentials are allowed, and not for all',
    async () => {
      const credentials = 'include';
      await ask(application, '/shop/login', { method: 'POST', credentials });
      expect(await ask(application, '/shop/login', { method: 'PUT', credentials })).toMatchObject({
        body: { cookie: 'session=1' },
      });
      expect(await ask(application, '/shop/catalog/x', { credentials })).toBe('blocked');
      expect(await ask(application, '/shop/catalog/x')).toMatchObject({ status: 200 });
    },
    TEST_TAKES_AT_MOST_MS,
  );

  it(
    'reads a stream, and opens a WebSocket with its cookie',
    async () => {
      const first = await application.evaluate(
        (url) =>
          new Promise((resolve) => {
            const source = new EventSource(url, { withCredentials: true });
            source.onmessage = ({ data }) => resolve(data);
            source.onerror = () => resolve('blocked');
          }),
        `${gateway.external}/shop/stream`,
      );
      expect(first).toBe('one');
      expect(await opens(application, '/chat/room')).toBe(true);
    },
    TEST_TAKES_AT_MOST_MS,
  );
});

it(
  'a page of any other origin reads what is for all alone, and opens no WebSocket with the user’s cookie',
  async () => {
    const before = shop.requests.length;
    expect(await ask(stranger, '/shop/x', { method: 'PUT', headers: authorized('eve') })).toBe('blocked');
    expect(shop.requests).toHaveLength(before);
    expect(await ask(stranger, '/shop/login', { credentials: 'include' })).toBe('blocked');
    expect(await ask(stranger, '/shop/catalog/x')).toMatchObject({ status: 200 });
    expect(await opens(stranger, '/chat/room')).toBe(false);
  },
  TEST_TAKES_AT_MOST_MS,
);
