import type { IncomingMessage, ServerResponse } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Page } from 'playwright-core';
import { READY_MADE_USERS } from '../../playground/services/users/users.ts';
import { type Browser, startBrowser } from '../support/clients/browser.ts';
import { type Deferred, deferred } from '../support/deferred.ts';
import {
  credentials,
  type GatewayProcess,
  PORTS,
  startGatewayProcess,
} from '../support/gateway/gatewayProcess.ts';
import { INSTALLS_WITHIN_MS } from '../support/processes/command.ts';
import { startService } from '../support/upstreams/service.ts';
import { startUpstream, type Upstream } from '../support/upstreams/upstream.ts';

const TEST_TAKES_AT_MOST_MS = 30_000;

const stack = new AsyncDisposableStack();
let browser: Browser;
let gateway: GatewayProcess;
let staged: Upstream;
/** The next request of the staged service, whose answer is the test's. */
let arrival: Deferred<{ readonly req: IncomingMessage; readonly res: ServerResponse }>;

beforeAll(async () => {
  browser = stack.use(await startBrowser());
  staged = stack.use(await startUpstream((req, res) => arrival.resolve({ req, res })));
  const userManagement = stack.use(await startService('userManagement'));
  const communication = stack.use(await startService('communication'));
  gateway = stack.use(
    await startGatewayProcess({
      services: {
        '/userManagement': [userManagement],
        '/communication': [communication],
        '/staged': [staged],
      },
      env: { AUTH_QUERY_TOKEN_PATHS: '/communication,/staged' },
    }),
  );
}, INSTALLS_WITHIN_MS);

afterAll(() => stack.disposeAsync(), TEST_TAKES_AT_MOST_MS);

/** The request that `start` makes the page send, while the page waits for its answer. */
async function arrivalOf<T>(start: () => Promise<T>) {
  arrival = deferred();
  const started = start();
  const { req, res } = await arrival.promise;
  return { req, res, started };
}

it(
  'a page logs in, is known by its token, and logs out',
  async () => {
    const page = await browser.open(`${gateway.external}/healthz`);
    const seen = await page.evaluate(async () => {
      const login = await fetch('/userManagement/auth/login', {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ username: 'test@example.com', password: 'password' }),
      });
      const { access_token: token } = (await login.json()) as { access_token: string };
      const headers = { Authorization: `Bearer ${token}` };
      const known = await fetch('/userManagement/whoami', { headers });
      const logout = await fetch('/userManagement/auth/logout', { method: 'POST', headers });
      const refused = await fetch('/userManagement/whoami', { headers });
      return {
        statuses: [login, known, logout, refused].map(({ status }) => status),
        known: await known.json(),
        refused: await refused.json(),
      };
    });
    expect(seen.statuses).toEqual([200, 200, 200, 401]);
    expect(seen.known).toMatchObject({ subject: READY_MADE_USERS[0].uuid });
    expect(seen.refused).toMatchObject({ code: 'token_revoked' });
  },
  TEST_TAKES_AT_MOST_MS,
);

describe.each(PORTS)('fetch in a page of the %s port', (port) => {
  const headers = credentials(port) as Record<string, string>;
  const path = () => new URL(gateway.url(port, '/staged/answer')).pathname;
  let page: Page;

  beforeAll(async () => {
    page = await browser.open(`${gateway[port]}/healthz`);
  }, TEST_TAKES_AT_MOST_MS);

  it('reads a response chunk by chunk, each before the next is sent', async () => {
    const { res, started } = await arrivalOf(() =>
      page.evaluateHandle(
        async ([url, init]) => {
          const { body } = await fetch(url, init);
          const reader = body?.pipeThrough(new TextDecoderStream()).getReader();
          return { read: () => reader?.read() };
        },
        [path(), { headers }] as const,
      ),
    );
    res.writeHead(200, { 'Content-Type': 'text/plain', 'Cache-Control': 'no-store' });
    res.flushHeaders();
    const reader = await started;
    for (const chunk of ['one', 'two', 'three']) {
      res.write(chunk);
      expect(await reader.evaluate(({ read }) => read())).toEqual({ done: false, value: chunk });
    }
    res.end();
    expect(await reader.evaluate(({ read }) => read())).toMatchObject({ done: true });
  });

  it('aborts, and the service sees it', async () => {
    const { res, started } = await arrivalOf(() =>
      page.evaluateHandle(
        ([url, init]) => {
          const controller = new AbortController();
          const outcome = fetch(url, { ...init, signal: controller.signal }).then(
            () => 'answered',
            (error: Error) => error.name,
          );
          return { abort: () => controller.abort(), outcome };
        },
        [path(), { headers }] as const,
      ),
    );
    const left = new Promise((resolve) => res.once('close', resolve));
    const fetching = await started;
    await fetching.evaluate(({ abort }) => abort());
    expect(await fetching.evaluate(({ outcome }) => outcome)).toBe('AbortError');
    await left;
    expect(res.writableEnded).toBe(false);
  });

  it('learns that a response was cut short', async () => {
    const { res, started } = await arrivalOf(() =>
      page.evaluate(
        async ([url, init]) => {
          const answer = await fetch(url, init);
          return answer.text().catch((error: Error) => error.name);
        },
        [path(), { headers }] as const,
      ),
    );
    res.write('half of it');
    res.write('and no more', () => res.destroy());
    expect(await started).toBe('TypeError');
  });
});

it('an EventSource gets events as they are sent, and goes on where it was', async () => {
  const page = await browser.open(`${gateway.internal}/healthz`);
  const first = await arrivalOf(() =>
    page.evaluateHandle((url) => {
      const source = new EventSource(url);
      const events = new ReadableStream<string>({
        start: (stream) => {
          source.onmessage = ({ data }) => stream.enqueue(data);
        },
      });
      return { source, reader: events.getReader() };
    }, '/internal/staged/events'),
  );
  const events = await first.started;
  const next = async () => (await events.evaluate(({ reader }) => reader.read())).value;

  first.res.writeHead(200, { 'Content-Type': 'text/event-stream' });
  first.res.write('retry: 1\nid: 1\ndata: one\n\n');
  expect(await next()).toBe('one');
  first.res.write('id: 2\ndata: two\n\n');
  expect(await next()).toBe('two');

  const again = await arrivalOf(async () => void first.res.end());
  expect(again.req.headers['last-event-id']).toBe('2');
  again.res.writeHead(200, { 'Content-Type': 'text/event-stream' });
  again.res.write('id: 3\ndata: three\n\n');
  expect(await next()).toBe('three');

  const left = new Promise((resolve) => again.res.once('close', resolve));
  await events.evaluate(({ source }) => source.close());
  await left;
});

it('a WebSocket sends text and bytes and gets them back', async () => {
  const page = await browser.open(`${gateway.internal}/healthz`);
  const echoed = await page.evaluate(
    async (url) => {
      const socket = new WebSocket(url);
      socket.binaryType = 'arraybuffer';
      const next = (name: 'open' | 'message' | 'close') =>
        new Promise<Event>((resolve) => socket.addEventListener(name, resolve, { once: true }));
      await next('open');
      socket.send('tea?');
      const { data: text } = (await next('message')) as MessageEvent;
      socket.send(new Uint8Array(100_000).fill(7));
      const { data: bytes } = (await next('message')) as MessageEvent;
      socket.close(4000, 'enough');
      const { code, wasClean } = (await next('close')) as CloseEvent;
      return { text, bytes: bytes.byteLength, code, wasClean };
    },
    `${gateway.internal.replace('http', 'ws')}/internal/communication/ws`,
  );
  expect(echoed).toEqual({ text: 'tea?', bytes: 100_000, code: 4000, wasClean: true });
});

it('on the external port a WebSocket and an EventSource are let in by a token in the query', async () => {
  const page = await browser.open(`${gateway.external}/healthz`);
  const token = (credentials('external') as Record<string, string>).Authorization?.slice('Bearer '.length);
  const query = `?id=1&access_token=${token}`;
  const url = `${gateway.external.replace('http', 'ws')}/communication/ws${query}`;
  const echoed = await page.evaluate(async (url) => {
    const socket = new WebSocket(url);
    const next = (name: 'open' | 'message') =>
      new Promise<Event>((resolve) => socket.addEventListener(name, resolve, { once: true }));
    await next('open');
    socket.send('tea?');
    return ((await next('message')) as MessageEvent).data;
  }, url);
  expect(echoed).toBe('tea?');

  const { req, res, started } = await arrivalOf(() =>
    page.evaluateHandle((url) => {
      const source = new EventSource(url);
      const told = new Promise((resolve) => source.addEventListener('message', ({ data }) => resolve(data)));
      return { source, told };
    }, `/staged/events${query}`),
  );
  expect(req.url).toBe('/events?id=1');
  res.writeHead(200, { 'Content-Type': 'text/event-stream' }).write('data: one\n\n');
  const events = await started;
  expect(await events.evaluate(({ told }) => told)).toBe('one');
  await events.evaluate(({ source }) => source.close());
});
