import { once } from 'node:events';
import { describe, expect, it } from '@jest/globals';
import { WebSocket } from 'ws';
import type { GatewayFileInput, ServiceInput } from '../../../config/file/schema.ts';
import { Sides } from '../../../lib/split/sides.ts';
import { RawClient, request } from '../../support/clients/rawClient.ts';
import { eventually } from '../../support/eventually.ts';
import {
  bearer,
  startGateway,
  type TestGateway,
  type TestService,
  tokenFor,
} from '../../support/gateway/gateway.ts';
import { expectNothingHeld } from '../../support/gateway/nothingHeld.ts';
import { expectProblem } from '../../support/gateway/problem.ts';
import { holding } from '../../support/jest/holding.ts';
import { ManualClock } from '../../support/manualClock.ts';
import { startGated } from '../../support/upstreams/gated.ts';
import { refusedUrl, startUpstream, type Upstream } from '../../support/upstreams/upstream.ts';
import { startSocketService } from '../../support/upstreams/webSocket.ts';
import { hears, listenTo, startEvents } from './events.ts';

type Route = NonNullable<ServiceInput['routes']>[number];
type FreeRoute = NonNullable<GatewayFileInput['routes']>[number];

const SPLIT = [
  { service: 'shop', weight: 1 },
  { service: 'next', weight: 1 },
];
const CANARY = {
  match: { path: '/shop/**', headers: { 'x-canary': '1' } },
  service: 'next',
  rewrite: '/**',
};
const ALL_NEXT = [
  { service: 'shop', weight: 0 },
  { service: 'next', weight: 1 },
];
const USERS = Array.from({ length: 40 }, (_, n) => `user-${n}`);

const held = holding();

type Side = Exclude<TestService, readonly unknown[]>;

/** `/shop`, divided with `/next`; who sends `X-Canary: 1` is sent to `/next`. */
function start(
  shop: Side,
  next: Side,
  {
    routes = [],
    free = [],
    clock,
  }: { readonly routes?: Route[]; readonly free?: FreeRoute[]; readonly clock?: ManualClock } = {},
): Promise<TestGateway> {
  const all = [{ match: { path: '/**' }, split: SPLIT }, ...routes];
  const services = { '/shop': { ...shop, routes: all }, '/next': next };
  return held(startGateway({ services, routes: [CANARY, ...free], ...(clock && { clock }) }));
}

/** The token of somebody on this side. */
function userOn(side: 'shop' | 'next', nth = 0): { Authorization: string } {
  const sides = new Sides('/shop', [1, 1]);
  const at = side === 'shop' ? 0 : 1;
  const theirs = USERS.filter((user) => sides.sideAt(sides.pointOf(`nobody sub string:${user}`)) === at);
  return bearer(tokenFor(theirs[nth] as string));
}

const canary = { ...userOn('shop'), 'X-Canary': '1' };

/** Says its name. */
const startNamed = (name: string, more: Record<string, string> = {}): Promise<Upstream> =>
  held(startUpstream((_req, res) => void res.writeHead(200, more).end(name)));

async function asked({ external }: TestGateway, headers: Record<string, string>, target = '/shop/x') {
  return (await fetch(external + target, { headers })).text();
}

async function opened(
  { external }: TestGateway,
  headers: Record<string, string>,
  path = '/shop/live',
): Promise<WebSocket> {
  const socket = new WebSocket(external.replace('http', 'ws') + path, { headers });
  void held({ [Symbol.dispose]: () => socket.terminate() });
  await once(socket, 'open');
  return socket;
}

async function echoes(socket: WebSocket, text: string): Promise<void> {
  socket.send(text);
  expect(String((await once(socket, 'message'))[0])).toBe(text);
}

describe('a split and WebSockets', () => {
  it('each goes on at the side of its user, and holds no permit of either side', async () => {
    const [one, two] = [await held(startSocketService()), await held(startSocketService())];
    const limits = { concurrency: 1, streams: 1 };
    const gateway = await start({ upstreams: [one], limits }, { upstreams: [two], limits });
    const sockets = [];
    for (const side of ['shop', 'next'] as const)
      for (const nth of [0, 1]) sockets.push(await opened(gateway, userOn(side, nth)));
    for (const socket of sockets) await echoes(socket, 'hello');
    expect([one.sockets.size, two.sockets.size]).toEqual([2, 2]);
    expect(await gateway.metric('gateway_concurrent_requests')).toBe(0);
  });

  it('a header leads one to the canary, whoever it is from', async () => {
    const [one, two] = [await held(startSocketService()), await held(startSocketService())];
    const gateway = await start({ upstreams: [one] }, { upstreams: [two] });
    await echoes(await opened(gateway, canary), 'hello');
    expect([one.handshakes.length, two.handshakes.length]).toEqual([0, 1]);
  });

  it('one whose first replica is away goes to another of its side, never to the other side', async () => {
    const [one, two] = [await held(startSocketService()), await held(startSocketService())];
    const gateway = await start({ upstreams: [one] }, { upstreams: [refusedUrl(), two] });
    for (let n = 0; n < 4; n += 1) await echoes(await opened(gateway, userOn('next', n)), 'hello');
    expect([one.handshakes.length, two.handshakes.length]).toEqual([0, 4]);
  });

  it('a side that is down refuses its users’ handshakes, and the other one goes on', async () => {
    const one = await held(startSocketService());
    const gateway = await start({ upstreams: [one] }, { upstreams: [refusedUrl()] });
    await expect(opened(gateway, userOn('next'))).rejects.toThrow('502');
    await echoes(await opened(gateway, userOn('shop')), 'hello');
  });
});

describe('a split and event streams', () => {
  it('each comes from the side of its user; who leaves frees the room of that side', async () => {
    const [one, two] = [await held(startEvents()), await held(startEvents())];
    const gateway = await start({ upstreams: [one], streams: 1 }, { upstreams: [two], streams: 1 });
    const mine = await held(listenTo(gateway.external, '/shop/events', userOn('shop')));
    const theirs = await held(listenTo(gateway.external, '/shop/events', canary));
    one.say('of shop');
    two.say('of next');
    await hears(mine, 'of shop');
    await hears(theirs, 'of next');
    const more = await listenTo(gateway.external, '/shop/events', userOn('next', 1));
    await expectProblem(await (await held(Promise.resolve(more))).answer(), 'streams_busy');
    theirs.reset();
    await eventually('it is closed', () => two.streams.size === 0);
    const next = await held(listenTo(gateway.external, '/shop/events', userOn('next')));
    two.say('again');
    await hears(next, 'again');
    expect(one.streams.size).toBe(1);
    one.end();
    two.end();
    await expectNothingHeld(gateway);
  });

  it('a client that leaves before its response has failed no side', async () => {
    const [one, two] = [await held(startGated()), await held(startGated())];
    const gateway = await start({ upstreams: [one] }, { upstreams: [two] });
    for (const [side, headers] of [
      [one, userOn('shop')],
      [two, userOn('next')],
    ] as const) {
      const client = await held(RawClient.to(gateway.external));
      client.send(request('GET /shop/x', `Authorization: ${headers.Authorization}`));
      await eventually('it waits', () => side.waiting.length === 1);
      client.reset();
      await eventually('it is called off', () => side.waiting.length === 0);
    }
    await expectNothingHeld(gateway);
    expect(await gateway.metric('gateway_circuit_breaker_failures_total')).toBe(0);
  });
});

describe('a split and replicas', () => {
  it('a second try stays within the side, and so does a side whose replicas fail their checks', async () => {
    const one = await startNamed('shop');
    let status = 200;
    const two = await held(
      startUpstream((req, res) => void res.writeHead(req.url === '/up' ? status : 200).end('next')),
    );
    const health = { path: '/up', interval: '25ms', unhealthyAfter: 1, healthyAfter: 1 };
    const gateway = await start(
      { upstreams: [one], cacheTtl: 'off' },
      { upstreams: [refusedUrl(), two], health, cacheTtl: 'off' },
    );
    for (let n = 0; n < 4; n += 1) expect(await asked(gateway, userOn('next', n))).toBe('next');
    status = 503;
    await eventually('it is out', async () => (await gateway.metric('gateway_replica_health')) === 0);
    const refused = await fetch(`${gateway.external}/shop/x`, { headers: userOn('next') });
    await expectProblem(refused, 'no_healthy_replica', { retryAfter: 5 });
    expect(await asked(gateway, userOn('shop'))).toBe('shop');
  });

  it('a second copy of a slow request stays within the side', async () => {
    const clock = new ManualClock();
    const [one, two, three] = [await held(startGated()), await held(startGated()), await held(startGated())];
    const options = { cacheTtl: 'off' };
    const gateway = await start(
      { upstreams: [one], ...options },
      { upstreams: [two, three], ...options },
      { clock },
    );
    const answered = async (waiting: number, ofMs: number) => {
      const response = fetch(`${gateway.external}/shop/x`, { headers: userOn('next') });
      await eventually('it waits', () => two.waiting.length + three.waiting.length === 1);
      clock.advance(ofMs);
      await eventually('so many have it', () => two.waiting.length + three.waiting.length === waiting);
      for (const each of [two, three]) each.answerOne();
      expect((await response).status).toBe(200);
    };
    for (let n = 0; n < 4; n += 1) await answered(1, 1);
    await answered(2, 1_500);
    expect(await gateway.metric('gateway_hedges_total', { service: '/next' })).toBe(1);
    expect(one.requests).toHaveLength(0);
  });

  it('a breaker that a side’s users have opened is open for the service itself, and not for the other side', async () => {
    const one = await startNamed('shop');
    const two = await held(startUpstream((_req, res) => void res.writeHead(500).end()));
    const gateway = await start({ upstreams: [one] }, { upstreams: [two] });
    for (let n = 0; n < 3; n += 1) await asked(gateway, userOn('next', n));
    for (const target of ['/shop/y', '/next/y']) {
      const refused = await fetch(gateway.external + target, { headers: userOn('next') });
      await expectProblem(refused, 'circuit_open', { retryAfter: 30 });
    }
    expect(await asked(gateway, userOn('shop'))).toBe('shop');
  });
});

describe('a canary by header', () => {
  it('has a cache of its own: neither gets what the other has stored, also where it is for all', async () => {
    const shared = { 'Cache-Control': 'public, max-age=60' };
    const [one, two] = [await startNamed('shop', shared), await startNamed('next', shared)];
    const gateway = await start({ upstreams: [one] }, { upstreams: [two] });
    for (let n = 0; n < 2; n += 1) {
      expect(await asked(gateway, userOn('shop'))).toBe('shop');
      expect(await asked(gateway, canary)).toBe('next');
    }
    expect([one.requests.length, two.requests.length]).toEqual([1, 1]);
  });

  it('is tried at another replica of the canary, and shows its errors where there is none', async () => {
    const one = await startNamed('shop');
    const two = await startNamed('next');
    const own = { cacheTtl: 'off' };
    const tried = await start({ upstreams: [one], ...own }, { upstreams: [refusedUrl(), two], ...own });
    for (let n = 0; n < 4; n += 1) expect(await asked(tried, canary)).toBe('next');
    const down = await start({ upstreams: [one], ...own }, { upstreams: [refusedUrl()], ...own });
    const failed = await fetch(`${down.external}/shop/x`, { headers: canary });
    await expectProblem(failed, 'upstream_unreachable');
    expect(await asked(down, userOn('shop'))).toBe('shop');
    expect(one.requests).toHaveLength(1);
  });

  it('has the limits of the service that it leads to, or its own', async () => {
    const [one, two] = [await startNamed('shop'), await startNamed('next')];
    const rate = (limit: string) => ({ rate: { per: 'route' as const, limit } });
    const match = { path: '/shop/few', headers: { 'x-canary': '1' } };
    const few = { match, service: 'next', rewrite: '/few', limits: rate('1/1h') };
    const gateway = await start(
      { upstreams: [one], cacheTtl: 'off' },
      { upstreams: [two], cacheTtl: 'off', limits: { rate: { per: 'service', limit: '4/1h' } } },
      { free: [few] },
    );
    const statuses: number[] = [];
    for (const path of ['/shop/few', '/shop/few', '/shop/x', '/shop/x', '/shop/x', '/shop/x'])
      statuses.push((await fetch(gateway.external + path, { headers: canary })).status);
    // Of the service's four one was used by what the route itself refused, or none.
    expect(statuses.slice(0, 2)).toEqual([200, 429]);
    expect(statuses.slice(2).filter((status) => status === 200).length).toBeGreaterThanOrEqual(2);
    expect(statuses.at(-1)).toBe(429);
    for (let n = 0; n < 6; n += 1) expect(await asked(gateway, userOn('shop'))).toBe('shop');
  });
});

describe('a split on some routes', () => {
  it('is none on the others, which may have another one; what the route says else is inherited', async () => {
    const [one, two] = [await startNamed('shop'), await startNamed('next')];
    const routes: Route[] = [
      { match: { path: '/old/**' } },
      { match: { path: '/new/**' }, split: ALL_NEXT, auth: 'none' },
    ];
    const gateway = await start({ upstreams: [one] }, { upstreams: [two] }, { routes });
    for (const side of ['shop', 'next'] as const) {
      expect(await asked(gateway, userOn(side))).toBe(side);
      expect(await asked(gateway, userOn(side), '/shop/old/x')).toBe('shop');
      expect(await asked(gateway, userOn(side), '/shop/new/x')).toBe('next');
    }
    expect(await asked(gateway, {}, '/shop/new/y')).toBe('next');
    await expectProblem(await fetch(`${gateway.external}/shop/y`), 'token_missing');
  });
});
