import { once } from 'node:events';
import { connect } from 'node:net';
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
import { holding } from '../../support/jest/holding.ts';
import { ManualClock } from '../../support/manualClock.ts';
import {
  hangs,
  refusedUrl,
  resets,
  saysAndResets,
  sendJson,
  startRawUpstream,
  startUpstream,
  type Upstream,
} from '../../support/upstreams/upstream.ts';
import { startSocketService } from '../../support/upstreams/webSocket.ts';

const TOKEN = tokenFor('ann');
const MIRROR = { service: 'shadow', percent: 100 };

const held = holding();

interface Setup {
  readonly shop: Upstream;
  readonly gateway: TestGateway;
}

/** A service `/shop` whose requests are copied to `/shadow`, which is at `shadow`. */
async function started(
  shadow: { readonly url: URL } | URL | undefined,
  {
    mirror = MIRROR,
    shop: more = {},
    to = {},
    ...options
  }: Partial<Omit<TestGatewayOptions, 'services'>> & {
    readonly mirror?: object;
    readonly shop?: object;
    readonly to?: object;
  } = {},
): Promise<Setup> {
  const shop = await held(startUpstream((_req, res) => sendJson(res, { from: 'shop' })));
  const upstreams = shadow === undefined ? [refusedUrl()] : [shadow];
  const gateway = await held(
    startGateway({
      ...options,
      services: {
        '/shop': { upstreams: [shop], cacheTtl: 'off', mirror, ...more },
        '/shadow': { upstreams, ...to },
      },
    }),
  );
  return { shop, gateway };
}

function send({ gateway }: Setup, target = '/shop/x', init: RequestInit = {}): Promise<Response> {
  const { headers, ...rest } = init;
  return fetch(gateway.external + target, { ...rest, headers: { ...bearer(TOKEN), ...headers } });
}

async function expectServed(setup: Setup, target = '/shop/x', init: RequestInit = {}): Promise<void> {
  const response = await send(setup, target, init);
  expect([response.status, await response.json()]).toEqual([200, { from: 'shop' }]);
}

function count({ gateway }: Setup, result: string): Promise<number> {
  return gateway.metric('gateway_mirrored_requests_total', { service: '/shop', target: '/shadow', result });
}

async function expectResult(setup: Setup, result: string, times = 1): Promise<void> {
  await eventually(`${times} ${result}`, async () => (await count(setup, result)) === times);
}

describe('a copy of a request', () => {
  it('has method, path, query, content and fields of the request, says so, and has no token', async () => {
    const shadow = await held(startUpstream());
    const setup = await started(shadow);
    const body = JSON.stringify({ a: 1 });
    await expectServed(setup, '/shop/a/b?x=%2F', { method: 'POST', body, headers: { 'X-Own': 'yes' } });
    await expectResult(setup, 'completed');
    const [copy, original] = [shadow.requests[0], setup.shop.requests[0]].map(
      (each) => each as Upstream['requests'][number],
    );
    expect(copy).toMatchObject({ method: 'POST', target: '/a/b?x=%2F' });
    expect(copy?.body.toString()).toBe(body);
    const field = (of: typeof copy, name: string) => fieldValue(of?.fields ?? [], name);
    for (const name of ['x-own', 'x-request-id', 'x-auth-subject', 'x-forwarded-prefix', 'content-type']) {
      expect(field(copy, name)).toBe(field(original, name));
      expect(field(copy, name)).toBeDefined();
    }
    expect([field(copy, 'x-mirrored'), field(original, 'x-mirrored')]).toEqual(['1', undefined]);
    expect([field(copy, 'authorization'), field(original, 'authorization')]).toEqual([undefined, undefined]);
  });

  it('has the token where the route passes it', async () => {
    const shadow = await held(startUpstream());
    const setup = await started(shadow, { shop: { passAuthorization: true } });
    await expectServed(setup);
    await expectResult(setup, 'completed');
    expect(fieldValue(shadow.requests[0]?.fields ?? [], 'authorization')).toBe(`Bearer ${TOKEN}`);
  });

  it('has its content whole, however it comes', async () => {
    const shadow = await held(startUpstream());
    const setup = await started(shadow);
    const chunks = ['a', 'b'.repeat(9000), 'c'.repeat(20_000), 'd'];
    const body = new ReadableStream({
      start: (controller) => {
        for (const chunk of chunks) controller.enqueue(Buffer.from(chunk));
        controller.close();
      },
    });
    await expectServed(setup, '/shop/x', { method: 'PUT', body, duplex: 'half' } as RequestInit);
    await expectResult(setup, 'completed');
    expect(shadow.requests[0]?.body.toString()).toBe(chunks.join(''));
    expect(shadow.requests[0]?.body).toEqual(setup.shop.requests[0]?.body);
  });

  it('cannot be forged by a user, who could skip what is done once', async () => {
    const shadow = await held(startUpstream());
    const setup = await started(shadow, { mirror: { ...MIRROR, percent: 0 } });
    await expectServed(setup, '/shop/x', { headers: { 'X-Mirrored': '1' } });
    expect(fieldValue(setup.shop.requests[0]?.fields ?? [], 'x-mirrored')).toBe(undefined);
    expect(shadow.requests).toEqual([]);
  });

  it.each([
    [0.0499, 1],
    [0.05, 0],
  ])('is made of 5 percent of the requests, by chance: %d', async (drawn, copies) => {
    const shadow = await held(startUpstream());
    const setup = await started(shadow, { mirror: { ...MIRROR, percent: 5 }, random: () => drawn });
    await expectServed(setup);
    await expectResult(setup, 'completed', copies);
    expect(shadow.requests.length).toBe(copies);
  });

  it('is made of requests of some methods alone, if the route says so', async () => {
    const shadow = await held(startUpstream());
    const setup = await started(shadow, { mirror: { ...MIRROR, methods: ['GET'] } });
    await expectServed(setup, '/shop/x', { method: 'POST', body: 'x' });
    await send(setup, '/shop/x', { method: 'HEAD' });
    await expectServed(setup);
    await expectResult(setup, 'completed', 2);
    expect(shadow.requests.map(({ method }) => method).toSorted()).toEqual(['GET', 'HEAD']);
  });

  it('goes where the route says, or nowhere', async () => {
    const shadow = await held(startUpstream());
    const routes = [
      { match: { path: '/quiet/**' }, mirror: 'off' as const },
      { match: { path: '/some/**' }, mirror: { methods: ['POST'] } },
    ];
    const setup = await started(shadow, { shop: { routes } });
    await expectServed(setup, '/shop/quiet/x');
    await expectServed(setup, '/shop/some/x');
    await expectServed(setup, '/shop/loud/x');
    await expectResult(setup, 'completed');
    expect(shadow.requests.map(({ target }) => target)).toEqual(['/loud/x']);
  });

  it('is none of what the cache has answered, or of a second try', async () => {
    const shadow = await held(startUpstream());
    const dead = refusedUrl();
    const shop = await held(
      startUpstream((_req, res) => {
        res.setHeader('Cache-Control', 'max-age=60');
        sendJson(res, { from: 'shop' });
      }),
    );
    const gateway = await held(
      startGateway({
        services: { '/shop': { upstreams: [dead, shop], mirror: MIRROR }, '/shadow': [shadow] },
      }),
    );
    const setup = { shop, gateway };
    for (const target of ['/shop/1', '/shop/2', '/shop/3']) {
      for (let n = 0; n < 3; n += 1) await expectServed(setup, target);
    }
    await expectResult(setup, 'completed', 3);
    expect(shadow.requests.length).toBe(3);
    expect(await gateway.metric('gateway_failovers_total')).toBeGreaterThan(0);
  });

  it('is made of the requests of all sides of a split but the one that gets it', async () => {
    const [shop, shadow] = [await held(startUpstream()), await held(startUpstream())];
    const split = [
      { service: 'shop', weight: 1 },
      { service: 'shadow', weight: 1 },
    ];
    const gateway = await held(
      startGateway({
        services: {
          '/shop': {
            upstreams: [shop],
            cacheTtl: 'off',
            routes: [{ match: { path: '/**' }, split, mirror: MIRROR }],
          },
          '/shadow': { upstreams: [shadow], cacheTtl: 'off' },
        },
      }),
    );
    const sides = new Sides('/shop', [1, 1]);
    const users = Array.from({ length: 20 }, (_, n) => `user-${n}`);
    for (const user of users) await fetch(`${gateway.external}/shop/x`, { headers: bearer(tokenFor(user)) });
    const onShop = users.filter(
      (user) => sides.sideAt(sides.pointOf(`nobody sub string:${user}`)) === 0,
    ).length;
    await eventually('the copies', () => shadow.requests.length === users.length);
    expect(shop.requests.length).toBe(onShop);
    const copies = shadow.requests.filter(({ fields }) => fieldValue(fields, 'x-mirrored') === '1');
    expect(copies.length).toBe(onShop);
  });

  it('is not made of a WebSocket', async () => {
    const [sockets, shadow] = [await held(startSocketService()), await held(startUpstream())];
    const gateway = await held(
      startGateway({ services: { '/hub': { upstreams: [sockets], mirror: MIRROR }, '/shadow': [shadow] } }),
    );
    const socket = new WebSocket(`${gateway.external.replace('http', 'ws')}/hub/x`, {
      headers: bearer(TOKEN),
    });
    await once(socket, 'open');
    socket.send('hi');
    expect(String((await once(socket, 'message'))[0])).toBe('hi');
    socket.terminate();
    expect(shadow.requests).toEqual([]);
  });
});

describe('a mirror in trouble', () => {
  it.each([
    ['refuses connections', async () => refusedUrl(), 'failed'],
    ['resets', () => held(startRawUpstream(resets)), 'failed'],
    [
      'resets midway',
      () => held(startRawUpstream(saysAndResets('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf'))),
      'failed',
    ],
    [
      'talks nonsense',
      () => held(startRawUpstream((socket) => void socket.end('nonsense\r\n\r\n'))),
      'failed',
    ],
    ['fails', () => held(startUpstream((_req, res) => sendJson(res, {}, 503))), 'error'],
    ['answers 404', () => held(startUpstream((_req, res) => sendJson(res, {}, 404))), 'completed'],
  ] as const)('that %s takes nothing from anybody, and is counted', async (_what, shadow, result) => {
    const setup = await started(await shadow());
    for (let n = 1; n <= 5; n += 1) {
      await expectServed(setup);
      await expectServed(setup, '/shop/x', { method: 'POST', body: 'x'.repeat(2000) });
      await expectResult(setup, result, 2 * n);
    }
    const warnings = setup.gateway.logLines().filter(({ message }) => String(message).startsWith('Mirror: '));
    expect(warnings.length).toBe(result === 'failed' ? 1 : 0);
    // No breaker has heard of it.
    expect(await setup.gateway.metric('gateway_circuit_breaker_failures_total')).toBe(0);
    expect(await setup.gateway.metric('gateway_lb_instance_in_flight')).toBe(0);
  });

  it('that hangs is given up in time, and is sent no more than there is room for', async () => {
    const clock = new ManualClock();
    const shadow = await held(startRawUpstream(hangs));
    const setup = await started(shadow, { clock, mirror: { ...MIRROR, timeout: '250ms' } });
    for (let n = 0; n < 130; n += 1) await expectServed(setup);
    await expectResult(setup, 'busy', 30);
    await eventually('100 copies', () => shadow.requests.length === 100);
    clock.advance(250);
    await expectResult(setup, 'timeout', 100);
    await eventually('their connections are closed', () => shadow.open === 0);
    await expectServed(setup);
    await eventually('one more', () => shadow.requests.length === 101);
    clock.advance(250);
    await expectResult(setup, 'timeout', 101);
    expect(await setup.gateway.metric('gateway_lb_instance_in_flight')).toBe(0);
  });

  it('that answers without end is cut', async () => {
    let written = 0;
    const shadow = await held(
      startUpstream((_req, res) => {
        const chunk = Buffer.alloc(64 * 1024);
        const more = () => {
          while (!res.destroyed && res.write(chunk)) written += chunk.length;
        };
        res.on('drain', more);
        more();
      }),
    );
    const setup = await started(shadow);
    await expectServed(setup);
    await expectResult(setup, 'cut');
    await eventually('its connection is closed', () => shadow.open === 0);
    expect(written).toBeLessThan(64 * 1024 * 1024);
  });

  it('gets no content that is too large, which reaches the service all the same', async () => {
    const shadow = await held(startUpstream());
    const setup = await started(shadow, { mirror: { ...MIRROR, body: '10KiB' } });
    const large = Buffer.alloc(3 * 1024 * 1024, 'x');
    await expectServed(setup, '/shop/x', { method: 'POST', body: large });
    const stream = new ReadableStream({
      start: (controller) => {
        controller.enqueue(large);
        controller.close();
      },
    });
    await expectServed(setup, '/shop/x', { method: 'POST', body: stream, duplex: 'half' } as RequestInit);
    await expectResult(setup, 'too_large', 2);
    expect(setup.shop.requests.map(({ body }) => body.length)).toEqual([large.length, large.length]);
    expect(shadow.requests).toEqual([]);
  });

  it('gets nothing of a request whose client leaves before its end', async () => {
    const shadow = await held(startUpstream());
    const setup = await started(shadow);
    const socket = connect(Number(new URL(setup.gateway.external).port), '127.0.0.1');
    socket.on('error', () => {});
    const head = [
      'POST /shop/x HTTP/1.1',
      'Host: x',
      `Authorization: Bearer ${TOKEN}`,
      'Content-Length: 9',
      '',
      'half',
    ];
    socket.write(head.join('\r\n'));
    await eventually('half of it has come', () => setup.shop.open === 1);
    socket.destroy();
    await expectResult(setup, 'abandoned');
    expect(shadow.requests).toEqual([]);
  });

  it('does not hold up a gateway that drains', async () => {
    const shadow = await held(startRawUpstream(hangs));
    const { gateway } = await started(shadow, {
      env: { DRAIN_TIMEOUT: '60s' },
      to: { requestTimeout: '60s' },
    });
    const setup = { gateway, shop: undefined as unknown as Upstream };
    await expectServed(setup);
    await eventually('a copy', () => shadow.requests.length === 1);
    const before = performance.now();
    await gateway.stop();
    expect(performance.now() - before).toBeLessThan(20_000);
  });

  it('of a thousand requests at once fails none', async () => {
    const shadow = await held(startRawUpstream(hangs));
    const setup = await started(shadow, {
      env: { GLOBAL_CONCURRENCY: '2000', FAIR_SHARE: '1' },
      shop: { concurrency: 2000 },
      to: { requestTimeout: '500ms' },
    });
    const all = Array.from({ length: 1000 }, (_, n) =>
      send(setup, `/shop/${n}`, n % 2 === 0 ? {} : { method: 'POST', body: 'x'.repeat(1000) }),
    );
    const statuses = await Promise.all(
      all.map(async (each) => {
        const response = await each;
        await response.text();
        return response.status;
      }),
    );
    expect(statuses.filter((status) => status !== 200)).toEqual([]);
    const ended = async () =>
      (await count(setup, 'busy')) + (await count(setup, 'timeout')) + (await count(setup, 'failed'));
    await eventually('each copy has an end', async () => (await ended()) === 1000);
    expect(await setup.gateway.metric('gateway_lb_instance_in_flight')).toBe(0);
  });
});
