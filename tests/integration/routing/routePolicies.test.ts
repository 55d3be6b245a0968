import { describe, expect, it } from '@jest/globals';
import { WebSocket } from 'ws';
import { eventually } from '../../support/eventually.ts';
import { bearer, startGateway, type TestGateway, tokenFor } from '../../support/gateway/gateway.ts';
import { expectProblem } from '../../support/gateway/problem.ts';
import { ManualClock } from '../../support/manualClock.ts';
import { startGated } from '../../support/upstreams/gated.ts';
import { refusedUrl, resets, startRawUpstream, startUpstream } from '../../support/upstreams/upstream.ts';
import { startSocketService } from '../../support/upstreams/webSocket.ts';

const headers = bearer(tokenFor('ann'));

function send(gateway: TestGateway, target: string, method = 'GET'): Promise<Response> {
  return fetch(gateway.external + target, { method, headers });
}

async function verdict(gateway: TestGateway, target: string, more = headers): Promise<string | null> {
  const response = await fetch(gateway.external + target, { headers: more });
  await response.text();
  return response.headers.get('x-cache');
}

describe('permits of a route', () => {
  const routes = [
    { match: { path: '/reports/**' }, limits: { concurrency: 1 } },
    { match: { path: '/small/**' }, limits: { body: '1KiB' } },
  ];
  const REPORTS = { route: '/shop/reports/**' };

  it('neither take from those of its service nor lend theirs', async () => {
    await using shop = await startGated();
    await using gateway = await startGateway({
      services: { '/shop': { upstreams: [shop], concurrency: 1, cacheTtl: 'off', routes } },
    });
    const report = send(gateway, '/shop/reports/1');
    await eventually('a report', () => shop.waiting.length === 1);
    const other = send(gateway, '/shop/small/1');
    await eventually('something else beside it', () => shop.waiting.length === 2);
    for (const busy of ['/shop/reports/2', '/shop/Reports/2', '/shop/small/2', '/shop/x']) {
      await expectProblem(await send(gateway, busy), 'service_busy');
    }
    expect(await gateway.metric('gateway_route_concurrent_requests', REPORTS)).toBe(1);
    expect(await gateway.metric('gateway_route_concurrency_limit', REPORTS)).toBe(1);
    expect(await gateway.metric('gateway_route_concurrency_limit')).toBe(1);
    expect(await gateway.metric('gateway_concurrent_requests', { service: '/shop' })).toBe(1);
    shop.answerOne();
    shop.answerOne();
    expect([(await report).status, (await other).status]).toEqual([200, 200]);
    await eventually('all given back', async () => {
      return (await gateway.metric('gateway_route_concurrent_requests', REPORTS)) === 0;
    });
  });

  it('are within those of the gateway', async () => {
    await using shop = await startGated();
    await using gateway = await startGateway({
      services: { '/shop': { upstreams: [shop], cacheTtl: 'off', routes } },
      env: { GLOBAL_CONCURRENCY: '1' },
    });
    const first = send(gateway, '/shop/x');
    await eventually('one request', () => shop.waiting.length === 1);
    await expectProblem(await send(gateway, '/shop/reports/1'), 'gateway_busy');
    shop.answerOne();
    await first;
  });

  it('for streams are its own as well', async () => {
    await using shop = await startUpstream((_req, res) => {
      res.writeHead(200, { 'Content-Type': 'text/event-stream' });
      res.write('data: 1\n\n');
    });
    await using gateway = await startGateway({
      services: {
        '/shop': {
          upstreams: [shop],
          streams: 1,
          routes: [
            { match: { path: '/events/**' }, limits: { streams: 1 } },
            { match: { path: '/none/**' }, limits: { streams: 0 } },
          ],
        },
      },
      env: { FAIR_SHARE: '1' },
    });
    const open = [await send(gateway, '/shop/events/1'), await send(gateway, '/shop/feed')];
    expect(open.map(({ status }) => status)).toEqual([200, 200]);
    for (const busy of ['/shop/events/2', '/shop/other', '/shop/none/1']) {
      await expectProblem(await send(gateway, busy), 'streams_busy');
    }
    const labels = { route: '/shop/events/**' };
    expect(await gateway.metric('gateway_route_streams', labels)).toBe(1);
    expect(await gateway.metric('gateway_route_stream_limit', labels)).toBe(1);
    for (const response of open) await response.body?.cancel();
  });

  it('are given back when a WebSocket is accepted, as those of its service are', async () => {
    await using chat = await startSocketService();
    await using gateway = await startGateway({
      services: {
        '/chat': {
          upstreams: [chat],
          routes: [{ match: { path: '/hub/**' }, limits: { concurrency: 1 } }],
        },
      },
    });
    const sockets: WebSocket[] = [];
    for (let n = 0; n < 2; n += 1) {
      const socket = new WebSocket(`${gateway.external}/chat/hub/a`, { headers });
      sockets.push(socket);
      await eventually('it is open', () => socket.readyState === WebSocket.OPEN);
    }
    expect(chat.handshakes).toHaveLength(2);
    for (const socket of sockets) socket.terminate();
  });
});

describe('the cache of a service with routes', () => {
  const service = {
    cacheTtl: '60s',
    routes: [
      { match: { path: '/items/**', methods: ['GET'] }, cache: { ttl: '30s' } },
      { match: { path: '/items/**', methods: ['POST'] }, cache: 'off' as const },
      { match: { path: '/items/**', headers: { 'x-version': '2' }, methods: ['GET'] } },
      { match: { path: '/plain/**' }, cache: 'explicit' as const },
      { match: { path: '/prices/**' }, auth: 'none' as const },
    ],
  };

  it.each(['embedded', 'redis'] as const)('in %s: a change by one route holds for all', async (store) => {
    await using shop = await startUpstream();
    await using gateway = await startGateway({
      services: { '/shop': { upstreams: [shop], ...service } },
      store,
    });
    const item = `/shop/items/${Date.now()}-${process.pid}`;
    const asVersion2 = { ...headers, 'X-Version': '2' };
    const stored = async () => [await verdict(gateway, item), await verdict(gateway, item, asVersion2)];
    expect(await stored()).toEqual(['MISS', 'MISS']);
    await eventually('both are stored', async () => (await stored()).every((each) => each === 'HIT'));
    await (await send(gateway, item, 'POST')).text();
    expect(await stored()).toEqual(['MISS', 'MISS']);
  });

  it('tells responses apart that came by different routes', async () => {
    await using shop = await startUpstream((req, res) => void res.end(String(req.headers['x-version'])));
    await using gateway = await startGateway({ services: { '/shop': { upstreams: [shop], ...service } } });
    const bodies: string[] = [];
    for (const version of ['1', '2', '1', '2']) {
      const response = await fetch(`${gateway.external}/shop/items/7`, {
        headers: { ...headers, 'X-Version': version },
      });
      bodies.push(`${response.headers.get('x-cache')} ${await response.text()}`);
    }
    expect(bodies).toEqual(['MISS 1', 'MISS 2', 'HIT 1', 'HIT 2']);
  });

  it('explicit: keeps only what says so, with a validator or without', async () => {
    const fields: Record<string, Record<string, string>> = {
      '/plain/silent': {},
      '/plain/tagged': { ETag: '"1"', 'Last-Modified': 'Mon, 01 Jan 2024 00:00:00 GMT' },
      '/plain/public': { 'Cache-Control': 'public' },
      '/plain/said': { 'Cache-Control': 'max-age=60' },
      '/plain/validated': { 'Cache-Control': 'no-cache', ETag: '"1"' },
    };
    await using shop = await startUpstream((req, res) => {
      const isSame = req.headers['if-none-match'] !== undefined;
      res.writeHead(isSame ? 304 : 200, fields[req.url ?? '']).end(isSame ? undefined : 'ok');
    });
    await using gateway = await startGateway({ services: { '/shop': { upstreams: [shop], ...service } } });
    const second: Record<string, string | null> = {};
    for (const target of Object.keys(fields)) {
      await verdict(gateway, `/shop${target}`);
      const response = await send(gateway, `/shop${target}`);
      await response.text();
      second[target] = response.headers.get('cache-status');
    }
    expect(second).toEqual({
      '/plain/silent': 'gateway; fwd=uri-miss',
      '/plain/tagged': 'gateway; fwd=uri-miss',
      '/plain/public': 'gateway; fwd=uri-miss',
      '/plain/said': expect.stringContaining('hit'),
      '/plain/validated': expect.stringContaining('fwd=stale; fwd-status=304'),
    });
    // The service's own default still holds beside that route.
    await verdict(gateway, '/shop/else');
    expect(await verdict(gateway, '/shop/else')).toBe('HIT');
  });
});

describe('free-standing routes to a service', () => {
  const ADMIN_TOKEN = 'admin-token-of-the-tests-0123456789';
  const service = { cacheTtl: '60s' };
  const routes = [
    { match: { path: '/api/items/:id' }, service: 'shop', rewrite: '/items/:id' },
    { match: { path: '/slow/**' }, service: 'shop', rewrite: '/**', limits: { concurrency: 1 } },
    { match: { path: '/late/**' }, service: 'shop', rewrite: '/**', limits: { concurrency: 1 } },
  ];

  it('share with it what makes stored responses void, by whichever path', async () => {
    await using shop = await startUpstream((req, res) => {
      if (req.method === 'POST' && req.url === '/named') res.setHeader('Location', '/items/7');
      if (req.method === 'POST' && req.url === '/items/called') res.setHeader('Location', '/api/items/7');
      res.end('ok');
    });
    await using gateway = await startGateway({
      services: { '/shop': { upstreams: [shop], ...service } },
      routes,
      env: { ADMIN_TOKEN },
    });
    const paths = ['/api/items/7', '/shop/items/7', '/slow/items/7'];
    const verdicts = async () => {
      const all: (string | null)[] = [];
      for (const path of paths) all.push(await verdict(gateway, path));
      return all;
    };
    const purge = async (target: object) => {
      const init = { method: 'POST', headers: bearer(ADMIN_TOKEN), body: JSON.stringify(target) };
      expect((await fetch(`${gateway.internal}/admin/cache/purge`, init)).status).toBe(204);
    };
    const post = async (path: string) => void (await (await send(gateway, path, 'POST')).text());
    const changes = {
      'by its own path': () => post('/shop/items/7'),
      'by a route': () => post('/api/items/7'),
      'by another route': () => post('/slow/items/7'),
      'by what a response names, as the service is asked for it': () => post('/slow/named'),
      'by what a response names, as clients ask for it': () => post('/api/items/called'),
      'by a purge of the path': () => purge({ url: '/shop/items/7' }),
      'by a purge of paths': () => purge({ prefix: '/shop/items/' }),
      'by a purge of the service': () => purge({ service: 'shop' }),
    };
    await verdict(gateway, '/slow');
    expect(await verdict(gateway, '/slow')).toBe('HIT');
    await purge({ url: '/shop' });
    expect(await verdict(gateway, '/slow')).toBe('MISS');
    for (const [how, change] of Object.entries(changes)) {
      await verdicts();
      expect([how, ...(await verdicts())]).toEqual([how, 'HIT', 'HIT', 'HIT']);
      await change();
      expect([how, ...(await verdicts())]).toEqual([how, 'MISS', 'MISS', 'MISS']);
    }
  });

  it('have permits of their own each, also where they say the same', async () => {
    await using shop = await startGated();
    await using gateway = await startGateway({
      services: { '/shop': { upstreams: [shop], cacheTtl: 'off', concurrency: 1 } },
      routes,
    });
    const targets = ['/slow/1', '/late/1', '/api/items/1'];
    const responses = targets.map((target) => send(gateway, target));
    await eventually('one of each', () => shop.waiting.length === 3);
    for (const busy of targets) await expectProblem(await send(gateway, busy), 'service_busy');
    for (const _ of targets) shop.answerOne();
    for (const response of responses) expect((await response).status).toBe(200);
  });
});

describe('retry', () => {
  const routes = [
    { match: { path: '/once/**' }, retry: 'off' as const },
    { match: { path: '/alone/**' }, retry: { hedge: 'off' as const } },
  ];

  it('off: asks no second replica, whatever the first has done', async () => {
    await using shop = await startUpstream();
    await using gateway = await startGateway({
      services: { '/shop': { upstreams: [refusedUrl(), shop], breaker: 'off', cacheTtl: 'off', routes } },
      random: () => 0,
    });
    const statuses = async (target: string) => {
      const all: number[] = [];
      for (let n = 0; n < 4; n += 1) all.push((await send(gateway, target)).status);
      return all.sort();
    };
    expect(await statuses('/shop/once/1')).toEqual([200, 200, 502, 502]);
    expect(await statuses('/shop/alone/1')).toEqual([200, 200, 200, 200]);
    expect(await statuses('/shop/x')).toEqual([200, 200, 200, 200]);
  });

  it('off: sends a GET once, although its kept connection was lost', async () => {
    const targets: string[] = [];
    await using shop = await startRawUpstream((socket, head) => {
      targets.push(head.split(' ')[1] ?? '');
      if (head.includes('/lost')) resets(socket, head);
      else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
    });
    await using gateway = await startGateway({
      services: { '/shop': { upstreams: [shop], cacheTtl: 'off', breaker: 'off', routes } },
    });
    for (const target of ['/shop/x', '/shop/once/lost', '/shop/x', '/shop/alone/lost'])
      await send(gateway, target);
    expect(targets).toEqual(['/x', '/once/lost', '/x', '/alone/lost', '/alone/lost']);
  });
});

describe('breaker', () => {
  const failing = async (breaker?: object) => {
    const stack = new AsyncDisposableStack();
    const clock = new ManualClock();
    const shop = stack.use(
      await startUpstream((req, res) => void res.writeHead(req.url?.includes('bad') ? 500 : 200).end('ok')),
    );
    const gateway = stack.use(
      await startGateway({
        services: {
          '/shop': {
            upstreams: [shop],
            cacheTtl: 'off',
            breaker,
            routes: [{ match: { path: '/free/**' }, breaker: 'off' as const }],
          },
          '/other': { upstreams: [shop], cacheTtl: 'off' },
        },
        clock,
      }),
    );
    return { clock, shop, gateway, [Symbol.asyncDispose]: () => stack.disposeAsync() };
  };
  const state = (gateway: TestGateway, service = '/shop') =>
    gateway.metric('gateway_circuit_breaker_state', { service });

  it('off on a route: its requests neither tell it anything nor ask it', async () => {
    await using world = await failing();
    const { gateway } = world;
    for (let n = 0; n < 6; n += 1) expect((await send(gateway, '/shop/free/bad')).status).toBe(500);
    expect(await state(gateway)).toBe(0);
    for (let n = 0; n < 3; n += 1) await send(gateway, '/shop/bad');
    expect(await state(gateway)).toBe(1);
    await expectProblem(await send(gateway, '/shop/x'), 'circuit_open', { retryAfter: 30 });
    // They reach the replica, whatever it is said to be, and good ones do not close its breaker.
    for (let n = 0; n < 3; n += 1) expect((await send(gateway, '/shop/free/x')).status).toBe(200);
    expect(await state(gateway)).toBe(1);
    world.clock.advance(30_000);
    expect(await state(gateway)).toBe(2);
    expect((await send(gateway, '/shop/free/bad')).status).toBe(500);
    expect(await state(gateway)).toBe(2);
    expect((await send(gateway, '/shop/x')).status).toBe(200);
    expect(await state(gateway)).toBe(0);
  });

  it('goes by what its own service says, in deeds and in words', async () => {
    await using world = await failing({ threshold: 2, window: '1m', cooldown: '5s', ratio: 0 });
    const { gateway, clock, shop } = world;
    await send(gateway, '/shop/bad');
    clock.advance(59_000);
    await send(gateway, '/shop/bad');
    await expectProblem(await send(gateway, '/shop/x'), 'circuit_open', { retryAfter: 5 });
    for (let n = 0; n < 2; n += 1) await send(gateway, '/other/bad');
    expect(await state(gateway, '/other')).toBe(0);
    const lines = gateway.logLines().map(({ message }) => String(message));
    const words = (count: string, window: string) =>
      `🔔 Circuit Breaker: Service ${shop.url.origin} failure ${count} (window: ${window} seconds)`;
    expect(lines).toContain(words('2/2', '60.00'));
    expect(lines).toContain(words('2/3', '10.50'));
    clock.advance(5_000);
    expect((await send(gateway, '/shop/x')).status).toBe(200);
  });
});

describe('WebSockets of a route', () => {
  const opened = async (gateway: TestGateway, target: string): Promise<number> => {
    const socket = new WebSocket(gateway.external + target, { headers });
    const { promise, resolve } = Promise.withResolvers<number>();
    socket.once('open', () => resolve(101));
    socket.once('unexpected-response', (_req, res) => resolve(res.statusCode ?? 0));
    socket.once('error', () => {});
    const status = await promise;
    socket.terminate();
    return status;
  };

  it('go past its breakers with breaker: off, and to one replica with retry: off', async () => {
    await using chat = await startSocketService();
    await using gateway = await startGateway({
      services: {
        '/chat': {
          upstreams: [refusedUrl(), chat],
          breaker: { threshold: 1 },
          routes: [
            { match: { path: '/free/**' }, breaker: 'off' },
            { match: { path: '/once/**' }, breaker: 'off', retry: 'off' },
          ],
        },
        '/down': {
          upstreams: [refusedUrl()],
          breaker: { threshold: 1 },
          routes: [{ match: { path: '/free/**' }, breaker: 'off' }],
        },
      },
      random: () => 0,
    });
    const statuses = async (target: string) => [await opened(gateway, target), await opened(gateway, target)];
    expect((await statuses('/chat/once/1')).sort()).toEqual([101, 502]);
    expect(await statuses('/chat/free/1')).toEqual([101, 101]);
    expect(await opened(gateway, '/down/x')).toBe(502);
    expect(await opened(gateway, '/down/x')).toBe(503);
    expect(await opened(gateway, '/down/free/x')).toBe(502);
  });
});

describe('time', () => {
  const timeouts = { request: '2m' };

  /** Two replicas of which each has responded once, and waits from there on. */
  const waiting = async () => {
    const stack = new AsyncDisposableStack();
    const clock = new ManualClock();
    const replicas = [stack.use(await startGated()), stack.use(await startGated())];
    const gateway = stack.use(
      await startGateway({
        services: {
          '/shop': {
            upstreams: replicas,
            cacheTtl: 'off',
            routes: [{ match: { path: '/reports/**' }, timeouts }],
          },
        },
        clock,
      }),
    );
    const underWay = () => replicas.reduce((sum, replica) => sum + replica.waiting.length, 0);
    for (const target of ['/shop/reports/1', '/shop/x']) {
      const response = send(gateway, target);
      await eventually('it is under way', () => underWay() === 1);
      for (const replica of replicas) replica.answerOne();
      await response;
    }
    return { clock, gateway, replicas, underWay, [Symbol.asyncDispose]: () => stack.disposeAsync() };
  };

  it('of a route decides when a silent replica is hedged, and when a request is over', async () => {
    await using world = await waiting();
    const { clock, gateway, underWay } = world;
    const report = send(gateway, '/shop/reports/2');
    await eventually('it is under way', () => underWay() === 1);
    clock.advance(59_000);
    expect(await gateway.metric('gateway_hedges_total')).toBe(0);
    clock.advance(2_000);
    await eventually('it is hedged', () => underWay() === 2);
    clock.advance(59_000);
    await expectProblem(await report, 'request_timeout');
  });

  it('of the service that issues tokens is for how long its response is held', async () => {
    const token = tokenFor('new');
    const delays: number[] = [];
    const clock = new ManualClock();
    const after = clock.after.bind(clock);
    clock.after = (delayMs, callback) => {
      delays.push(delayMs);
      return after(delayMs, callback);
    };
    const begun = Promise.withResolvers<() => void>();
    await using users = await startUpstream((_req, res) => {
      res.writeHead(200, { 'Content-Type': 'application/json' });
      res.write(JSON.stringify({ access_token: token }).slice(0, 9));
      begun.resolve(() => res.end(JSON.stringify({ access_token: token }).slice(9)));
    });
    await using gateway = await startGateway({
      services: { '/userManagement': { upstreams: [users], requestTimeout: '2m' } },
      env: { UPSTREAM_TIMEOUT: '90s' },
      clock,
    });
    const login = send(gateway, '/userManagement/auth/login', 'POST');
    const end = await begun.promise;
    await eventually('its beginning is held', () => delays.includes(90_000));
    clock.advance(60_000);
    end();
    expect(await (await login).json()).toEqual({ access_token: token });
    expect(await gateway.metric('gateway_jwt_generated_total')).toBe(1);
  });
});
