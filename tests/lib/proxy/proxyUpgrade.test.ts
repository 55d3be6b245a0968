import { once } from 'node:events';
import { describe, expect, it } from '@jest/globals';
import type { RequestHandler } from 'express';
import WebSocket, { WebSocketServer } from 'ws';
import { Semaphore } from '../../../lib/concurrency/semaphore.ts';
import { ClientGoneError } from '../../../lib/exchange/errors.ts';
import { exchangeOf } from '../../../lib/exchange/exchange.ts';
import { fieldValues } from '../../../lib/http/fields.ts';
import { type Completed, observe } from '../../../lib/metrics/middleware.ts';
import { timeout } from '../../../lib/timeout/middleware.ts';
import { RawClient, sendRaw } from '../../support/clients/rawClient.ts';
import { eventually } from '../../support/eventually.ts';
import { type ForwardAppOptions, forwardApp } from '../../support/gateway/forwardApp.ts';
import { ManualClock } from '../../support/manualClock.ts';
import {
  hangs,
  type RawBehaviour,
  refusedUrl,
  resets,
  says,
  startRawUpstream,
} from '../../support/upstreams/upstream.ts';

const SWITCHES =
  'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: a\r\n\r\n';

/** Agrees to upgrade and then sends back what it gets. */
const echoes: RawBehaviour = (socket) => {
  socket.write(SWITCHES);
  socket.removeAllListeners('data');
  socket.on('data', (chunk) => socket.write(chunk));
  socket.on('end', () => socket.end());
};

function upgradeRequest(...lines: readonly string[]): string {
  const own = [
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Key: a',
    'Sec-WebSocket-Version: 13',
  ];
  return `${['GET /chat?room=1 HTTP/1.1', 'Host: gateway', ...own, ...lines].join('\r\n')}\r\n\r\n`;
}

/** `forward` in front of a service that behaves like this, with a client connected to it. */
async function upgrading(behaviour: RawBehaviour | URL, options: ForwardAppOptions = {}) {
  const stack = new AsyncDisposableStack();
  const upstream = behaviour instanceof URL ? undefined : stack.use(await startRawUpstream(behaviour));
  const url = behaviour instanceof URL ? behaviour : (upstream?.url as URL);
  const completed: Completed[] = [];
  const observes = observe({ onCompleted: (one) => void completed.push(one) });
  const before = [observes, ...[options.before ?? []].flat()];
  const app = stack.use(await forwardApp(url, { ...options, before, takesUpgrades: true }));
  const client = stack.use(await RawClient.to(app.url.origin));
  return {
    ...{ app, client, completed },
    get requests() {
      return upstream?.requests ?? [];
    },
    get open() {
      return upstream?.open ?? 0;
    },
    async upgraded(): Promise<void> {
      client.send(upgradeRequest());
      await eventually('101', () => client.received.startsWith('HTTP/1.1 101'));
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

describe('forward, a WebSocket', () => {
  it('carries messages both ways', async () => {
    await using stack = new AsyncDisposableStack();
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
    stack.defer(() => server.close());
    await once(server, 'listening');
    server.on('connection', (socket) => {
      socket.send('welcome');
      socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
    });
    const { port } = server.address() as { port: number };
    const app = stack.use(await forwardApp(new URL(`http://127.0.0.1:${port}`), { takesUpgrades: true }));
    const client = new WebSocket(app.url.href.replace('http', 'ws'));
    expect(String((await once(client, 'message'))[0])).toBe('welcome');
    const big = Buffer.alloc(3 * 2 ** 20, 'x');
    client.send(big);
    expect(((await once(client, 'message'))[0] as Buffer).equals(big)).toBe(true);
    client.close(4_000, 'done');
    expect((await once(client, 'close'))[0]).toBe(4_000);
    await eventually('the end', () => app.outcomes.length === 1);
    expect(app.outcomes).toEqual([{ kind: 'completed' }]);
  });

  it('reaches the service with the fields that any request has', async () => {
    const before: RequestHandler = (_req, res, next) => {
      const exchange = exchangeOf(res);
      exchange.identity = { subject: 'alice', key: 'alice', claims: 'e30' };
      exchange.upstreamTarget = '/ws/%61?room=1';
      next();
    };
    await using test = await upgrading(echoes, { before });
    test.client.send(
      upgradeRequest(
        'X-Auth-Subject: mallory',
        'X-Forwarded-For: 6.6.6.6',
        'Authorization: Bearer a',
        'Cookie: a=1',
      ),
    );
    await eventually('the request', () => test.requests.length === 1);
    const { target = '', fields = [] } = test.requests[0] ?? {};
    expect(target).toBe('/ws/%61?room=1');
    const expected = {
      host: ['gateway'],
      connection: ['Upgrade'],
      upgrade: ['websocket'],
      'sec-websocket-key': ['a'],
      'sec-websocket-version': ['13'],
      cookie: ['a=1'],
      authorization: [],
      'x-auth-subject': ['alice'],
      'x-forwarded-for': ['127.0.0.1'],
      'x-request-id': [test.app.exchanges[0]?.requestId],
    };
    for (const [name, values] of Object.entries(expected)) expect(fieldValues(fields, name)).toEqual(values);
  });

  it('loses no byte that came right behind the head', async () => {
    await using test = await upgrading(echoes);
    test.client.send(`${upgradeRequest()}early`);
    await eventually('the echo', () => test.client.received.endsWith('\r\n\r\nearly'));
  });

  it('loses no byte that came right behind the response', async () => {
    await using test = await upgrading(says(`${SWITCHES}welcome`));
    test.client.send(upgradeRequest());
    await eventually('the greeting', () => test.client.received.endsWith('\r\n\r\nwelcome'));
  });

  it('ends its exchange with the handshake and lives on', async () => {
    const clock = new ManualClock();
    await using test = await upgrading(echoes, { before: timeout({ timeoutMs: 3_000, clock }), clock });
    await test.upgraded();
    await eventually('the report', () => test.completed.length === 1);
    expect(test.completed[0]?.status).toBe(101);
    clock.advance(1_000_000);
    expect(clock.pending).toBe(0);
    test.client.send('still here');
    await eventually('the echo', () => test.client.received.endsWith('still here'));
    expect(test.app.exchanges[0]?.signal.aborted).toBe(false);
  });

  it.each(['client', 'service'] as const)('ends on both sides when the %s leaves', async (who) => {
    const leaves: RawBehaviour = (socket, head) => {
      echoes(socket, head);
      if (who === 'service') setImmediate(() => socket.destroy());
    };
    await using test = await upgrading(leaves);
    test.client.send(upgradeRequest());
    if (who === 'client') {
      await eventually('101', () => test.client.received !== '');
      test.client.socket.destroy();
    }
    await eventually('both ends', () => test.open === 0 && test.client.ending);
    await eventually('the end', () => test.app.outcomes.length === 1);
    expect(test.app.outcomes).toEqual([{ kind: 'completed' }]);
    expect(test.app.errors).toEqual([]);
  });

  it('that the service resets later says nothing of how requests fare', async () => {
    const breaks: RawBehaviour = (socket) => {
      socket.write(SWITCHES);
      socket.on('data', () => socket.resetAndDestroy());
    };
    await using test = await upgrading(breaks);
    await test.upgraded();
    test.client.send('anything');
    await test.client.closed();
    await eventually('the end', () => test.app.outcomes.length === 1);
    expect(test.app.outcomes).toEqual([{ kind: 'completed' }]);
    expect(test.app.errors).toEqual([]);
  });

  it('reaches a replica at an IPv6 address', async () => {
    await using stack = new AsyncDisposableStack();
    const server = new WebSocketServer({ port: 0, host: '::1' });
    stack.defer(() => server.close());
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const app = stack.use(await forwardApp(new URL(`http://[::1]:${port}`), { takesUpgrades: true }));
    const client = new WebSocket(app.url.href.replace('http', 'ws'));
    await once(client, 'open');
    client.terminate();
  });
});

describe('forward, a WebSocket that the service refuses', () => {
  it('is answered as any other request', async () => {
    const refusal =
      'HTTP/1.1 401 Go Away\r\nX-Odd-CASE: a\r\nKeep-Alive: timeout=9\r\nContent-Length: 2\r\n\r\nno';
    await using test = await upgrading(says(refusal));
    test.client.send(upgradeRequest());
    const answer = await test.client.answer();
    expect([answer.status, answer.reason, answer.body, answer.rest]).toEqual([401, 'Go Away', 'no', '']);
    expect(answer.fields).toContainEqual(['X-Odd-CASE', 'a']);
    expect(answer.field('Keep-Alive')).toBeUndefined();
    expect(answer.field('X-Request-Id')).toBe(test.app.exchanges[0]?.requestId);
    await test.client.closed();
    expect(test.completed.map(({ status }) => status)).toEqual([401]);
    expect(test.app.outcomes).toEqual([{ kind: 'completed' }]);
    await eventually('the service is left', () => test.open === 0);
  });

  it('in chunks is passed on whole', async () => {
    const chunks =
      'HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n1\r\n!\r\n0\r\n\r\n';
    await using test = await upgrading(says(chunks));
    test.client.send(upgradeRequest());
    const answer = await test.client.answer();
    expect([answer.status, answer.body, answer.whole]).toEqual([403, 'no!', true]);
  });

  it('and breaks off looks cut short', async () => {
    const begins: RawBehaviour = (socket) =>
      void socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 100\r\n\r\na beginning');
    await using test = await upgrading(begins);
    test.client.send(upgradeRequest());
    const answer = await test.client.answer();
    expect([answer.status, answer.whole]).toEqual([403, false]);
    expect(test.app.outcomes).toMatchObject([{ kind: 'failed' }]);
  });
});

describe('forward, a WebSocket that does not come about', () => {
  it.each<[string, () => Promise<URL | RawBehaviour>, string]>([
    ['refuses connections', async () => refusedUrl(), 'upstream_unreachable'],
    ['resets', async () => resets, 'upstream_unreachable'],
    ['speaks no HTTP', async () => says('EHLO\r\n\r\n'), 'upstream_bad_response'],
    [
      'has status 099',
      async () => says('HTTP/1.1 099 Odd\r\nContent-Length: 0\r\n\r\n'),
      'upstream_bad_response',
    ],
  ])('because the service %s is answered with 502', async (_what, behaviour, code) => {
    await using test = await upgrading(await behaviour());
    test.client.send(upgradeRequest());
    const answer = await test.client.answer();
    expect([answer.status, JSON.parse(answer.body).code]).toEqual([502, code]);
    expect(test.app.outcomes).toMatchObject([{ kind: 'failed' }]);
    await test.client.closed();
  });

  it('because the service hangs is answered with 504, once', async () => {
    const clock = new ManualClock();
    await using test = await upgrading(hangs, { before: timeout({ timeoutMs: 3_000, clock }), clock });
    test.client.send(upgradeRequest());
    await eventually('the request', () => test.requests.length === 1);
    clock.advance(3_000);
    expect((await test.client.answer()).status).toBe(504);
    await eventually('the end', () => test.app.outcomes.length === 1);
    expect(test.app.outcomes).toMatchObject([{ kind: 'failed' }]);
    expect(test.app.errors).toHaveLength(1);
    await eventually('the service is left', () => test.open === 0);
  });

  it('because the client leaves is not held against the service', async () => {
    await using test = await upgrading(hangs);
    test.client.send(upgradeRequest());
    await eventually('the request', () => test.requests.length === 1);
    test.client.reset();
    await eventually('the service is left', () => test.open === 0);
    expect(test.app.outcomes).toEqual([{ kind: 'abandoned' }]);
    expect(test.app.exchanges[0]?.signal.reason).toBeInstanceOf(ClientGoneError);
    expect(test.app.errors).toEqual([]);
  });

  it('because it was given up while it was prepared is answered by who gave it up', async () => {
    const before: RequestHandler = (_req, res, next) => {
      next();
      exchangeOf(res).abort(Object.assign(new Error('draining'), { status: 503 }));
    };
    await using test = await upgrading(hangs, { before });
    test.client.send(upgradeRequest());
    expect((await test.client.answer()).status).toBe(503);
    await eventually('the service is left', () => test.open === 0);
    expect(test.app.outcomes).toEqual([{ kind: 'abandoned' }]);
  });

  it('because it asks for two hosts is answered with 400', async () => {
    await using test = await upgrading(echoes);
    test.client.send(upgradeRequest('Host: other'));
    expect((await test.client.answer()).status).toBe(400);
    expect(test.requests).toEqual([]);
  });
});

describe('forward, as many WebSockets as it may', () => {
  it('refuses the next with 429 and takes it when one has ended', async () => {
    const upgrades = new Semaphore({ limit: 1 });
    await using test = await upgrading(echoes, { upgrades });
    await test.upgraded();
    expect((await sendRaw(test.app.url.origin, upgradeRequest())).status).toBe(429);
    expect(test.app.errors[0]).toMatchObject({ code: 'upgrades_busy' });
    expect(test.app.outcomes).toEqual([{ kind: 'abandoned' }]);
    test.client.socket.destroy();
    await eventually('a free place', () => upgrades.held === 0);
    using next = await RawClient.to(test.app.url.origin);
    next.send(upgradeRequest());
    await eventually('101', () => next.received.startsWith('HTTP/1.1 101'));
  });

  it.each<[string, RawBehaviour]>([
    ['refuses', says('HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n')],
    ['breaks', resets],
  ])('keeps no place for one that the service %s', async (_what, behaviour) => {
    const upgrades = new Semaphore({ limit: 1 });
    await using test = await upgrading(behaviour, { upgrades });
    test.client.send(upgradeRequest());
    await test.client.closed();
    await eventually('a free place', () => upgrades.held === 0);
  });
});
