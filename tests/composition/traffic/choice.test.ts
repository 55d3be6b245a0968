import { once } from 'node:events';
import { describe, expect, it } from '@jest/globals';
import { WebSocket } from 'ws';
import type { ServiceInput } from '../../../config/file/schema.ts';
import { RawClient, request } from '../../support/clients/rawClient.ts';
import { eventually } from '../../support/eventually.ts';
import {
  bearer,
  startGateway,
  type TestGateway,
  type TestGatewayOptions,
  tokenFor,
} from '../../support/gateway/gateway.ts';
import { expectNothingHeld } from '../../support/gateway/nothingHeld.ts';
import { holding } from '../../support/jest/holding.ts';
import { ManualClock } from '../../support/manualClock.ts';
import { startGated } from '../../support/upstreams/gated.ts';
import { refusedUrl, startUpstream, type Upstream } from '../../support/upstreams/upstream.ts';
import { startSocketService } from '../../support/upstreams/webSocket.ts';
import { hears, listenTo, startEvents } from './events.ts';

type Balance = NonNullable<ServiceInput['balance']>;

/** Ports differ in each run, and with them where hashes lead: of so many users each replica has some. */
const USERS = 80;
const STICKY = { sticky: 'cookie' } as const;
const BY_SUBJECT = { hash: 'subject' } as const;
const BY_ROOM = { hash: 'header:x-room' } as const;

const held = holding();

const several = <T extends AsyncDisposable>(count: number, one: () => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: count }, () => held(one())));

interface Options extends Partial<Omit<TestGatewayOptions, 'services'>> {
  readonly balance?: Balance;
  readonly service?: object;
}

/** `/shop` at these replicas, for everybody. */
function start(
  upstreams: readonly (URL | { readonly url: URL; readonly weight?: number })[],
  { balance, service, ...options }: Options = {},
): Promise<TestGateway> {
  const shop = { upstreams, auth: 'none' as const, cacheTtl: 'off', balance, ...service };
  return held(startGateway({ services: { '/shop': shop }, ...options }));
}

/** The same replicas, with these weights. */
const weighted = (replicas: readonly { readonly url: URL }[], weights: readonly number[]) =>
  replicas.map(({ url }, n) => ({ url, weight: weights[n] ?? 1 }));

const get = ({ external }: TestGateway, target: string, headers: Record<string, string> = {}) =>
  fetch(external + target, { headers });

const counts = (replicas: readonly Pick<Upstream, 'requests'>[]) =>
  replicas.map(({ requests }) => requests.length);

const cookieOf = (response: Response) => response.headers.getSetCookie()[0]?.split(';')[0] ?? '';

async function webSocket(
  { external }: TestGateway,
  headers: Record<string, string> = {},
): Promise<WebSocket> {
  const socket = new WebSocket(`${external.replace('http', 'ws')}/shop/live`, { headers });
  void held({ [Symbol.dispose]: () => socket.terminate() });
  await once(socket, 'open');
  return socket;
}

describe('weights', () => {
  it('deal out requests by their parts, and hits of the cache are no turn of anybody', async () => {
    const replicas = await several(2, () => startUpstream());
    const gateway = await start(weighted(replicas, [3, 1]), { service: { cacheTtl: '1m' } });
    for (let n = 0; n < 40; n += 1) {
      expect((await get(gateway, `/shop/${n}`)).headers.get('x-cache')).toBe('MISS');
      for (let again = 0; again < 3; again += 1)
        expect((await get(gateway, `/shop/${n}`)).headers.get('x-cache')).toBe('HIT');
    }
    expect(counts(replicas)).toEqual([30, 10]);
  });

  it('are those of the service for all its routes and for services among themselves', async () => {
    const replicas = await several(2, () => startUpstream());
    const routes = [{ match: { path: '/own/**' }, timeouts: { request: '1s' } }];
    const gateway = await start(weighted(replicas, [3, 1]), { service: { routes } });
    for (let n = 0; n < 8; n += 1) {
      await get(gateway, '/shop/x');
      await get(gateway, '/shop/own/x');
      await fetch(`${gateway.internal}/internal/shop/x`);
    }
    expect(counts(replicas)).toEqual([18, 6]);
  });

  it('what a limit refuses is no turn', async () => {
    const replicas = await several(2, () => startUpstream());
    const limits = { rate: { per: 'service', limit: '8/1h' } };
    const gateway = await start(weighted(replicas, [3, 1]), { service: { limits } });
    const statuses = [];
    for (let n = 0; n < 12; n += 1) statuses.push((await get(gateway, '/shop/x')).status);
    expect(statuses.filter((status) => status === 200)).toHaveLength(8);
    expect(counts(replicas)).toEqual([6, 2]);
  });

  it('one with the weight 0 takes the second try when no other is left', async () => {
    const spare = await held(startUpstream());
    const gateway = await start([
      { url: refusedUrl(), weight: 1 },
      { url: spare.url, weight: 0 },
    ]);
    for (let n = 0; n < 4; n += 1) expect((await get(gateway, '/shop/x')).status).toBe(200);
    expect(spare.requests).toHaveLength(4);
  });

  it('one with the weight 0 gets no second copy of a slow request', async () => {
    const clock = new ManualClock();
    const [used, spare] = [await held(startGated()), await held(startGated())];
    const gateway = await start(weighted([used, spare], [1, 0]), { clock });
    for (let n = 0; n < 4; n += 1) {
      const served = get(gateway, '/shop/x');
      await eventually('it waits', () => used.waiting.length === 1);
      used.answerOne();
      await (await served).text();
    }
    clock.advance(1);
    const slow = get(gateway, '/shop/x');
    await eventually('it waits', () => used.waiting.length === 1);
    clock.advance(2_900);
    used.answerOne();
    expect((await slow).status).toBe(200);
    expect(await gateway.metric('gateway_hedges_total')).toBe(0);
    expect(spare.requests).toHaveLength(0);
  });

  it('event streams that are open are dealt out by their parts, and those that were left no longer count', async () => {
    const replicas = await several(2, () => startEvents());
    const gateway = await start(weighted(replicas, [3, 1]), { env: { FAIR_SHARE: '1' } });
    const opened: RawClient[] = [];
    for (let n = 0; n < 8; n += 1) opened.push(await held(listenTo(gateway.external, '/shop/events')));
    const openAt = () => replicas.map(({ streams }) => streams.size);
    expect(openAt()).toEqual([6, 2]);
    for (const client of opened) client.reset();
    await eventually('all are closed', () => openAt().every((size) => size === 0));
    await expectNothingHeld(gateway);
    for (let n = 0; n < 4; n += 1) await held(listenTo(gateway.external, '/shop/events'));
    expect(openAt()).toEqual([3, 1]);
    expect(await gateway.metric('gateway_circuit_breaker_failures_total')).toBe(0);
  });

  it('WebSockets that are open are dealt out by their parts', async () => {
    const replicas = await several(2, () => startSocketService());
    const gateway = await start(weighted(replicas, [3, 1]), { env: { FAIR_SHARE: '1' } });
    for (let n = 0; n < 8; n += 1) await webSocket(gateway);
    expect(replicas.map(({ sockets }) => sockets.size)).toEqual([6, 2]);
  });
});

describe.each([
  ['sticky', STICKY],
  ['by hash', BY_SUBJECT],
] as const)('replicas that are kept, %s,', (_how, balance) => {
  /** The fields by which somebody is kept; who comes first has none. */
  function visitor(name: string) {
    const fields: Record<string, string> = { ...bearer(tokenFor(name)) };
    return {
      fields,
      /** Takes over the cookie, if there is one. */
      learn(cookie: string | undefined) {
        if (cookie) fields.Cookie = cookie.split(';')[0] as string;
      },
    };
  }
  const service = { auth: 'required' };

  it('keep event streams: who comes again hears the same replica, also after it left in the middle', async () => {
    const replicas = await several(3, () => startEvents());
    const gateway = await start(replicas, { balance, service });
    const ann = visitor('ann');
    let home: number | undefined;
    for (let n = 0; n < 4; n += 1) {
      const client = await held(listenTo(gateway.external, '/shop/events', ann.fields));
      ann.learn((await client.head()).field('set-cookie'));
      const at = replicas.findIndex(({ streams }) => streams.size === 1);
      home ??= at;
      expect(at).toBe(home);
      replicas[at]?.say(`number ${n}`);
      await hears(client, `number ${n}`);
      client.reset();
      await eventually('it is closed', () => replicas[at]?.streams.size === 0);
    }
    await expectNothingHeld(gateway);
    expect(await gateway.metric('gateway_circuit_breaker_failures_total')).toBe(0);
  });

  it('keep who leaves before the response', async () => {
    const replicas = await several(3, () => startGated());
    const gateway = await start(replicas, { balance, service });
    const ann = visitor('ann');
    const waitsAt = () => replicas.findIndex(({ waiting }) => waiting.length > 0);
    const first = get(gateway, '/shop/x', ann.fields);
    await eventually('it waits', () => waitsAt() !== -1);
    const home = waitsAt();
    replicas[home]?.answerOne();
    ann.learn((await first).headers.getSetCookie()[0]);
    for (let n = 0; n < 4; n += 1) {
      const client = await held(RawClient.to(gateway.external));
      const fields = Object.entries(ann.fields).map(([name, value]) => `${name}: ${value}`);
      client.send(request('GET /shop/x', ...fields));
      await eventually('it waits', () => waitsAt() !== -1);
      expect(waitsAt()).toBe(home);
      client.reset();
      await eventually('it is called off', () => waitsAt() === -1);
    }
    await expectNothingHeld(gateway);
  });

  it('have no second copy of a slow request sent elsewhere', async () => {
    const clock = new ManualClock();
    const replicas = await several(2, () => startGated());
    const gateway = await start(replicas, { balance, service, clock });
    const waiting = () => replicas.reduce((sum, each) => sum + each.waiting.length, 0);
    // Both are known to be quick, which a second copy asks for.
    for (let n = 0; n < 24; n += 1) {
      const served = get(gateway, '/shop/x', visitor(`user-${n}`).fields);
      await eventually('it waits', () => waiting() === 1);
      for (const each of replicas) each.answerOne();
      await (await served).text();
    }
    expect(replicas.every(({ requests }) => requests.length > 0)).toBe(true);
    clock.advance(1);
    const ann = visitor('ann');
    const first = get(gateway, '/shop/x', ann.fields);
    await eventually('it waits', () => waiting() === 1);
    for (const each of replicas) each.answerOne();
    ann.learn((await first).headers.getSetCookie()[0]);
    const slow = get(gateway, '/shop/x', ann.fields);
    await eventually('it waits', () => waiting() === 1);
    clock.advance(2_900);
    await new Promise((resolve) => setImmediate(resolve));
    expect([waiting(), await gateway.metric('gateway_hedges_total')]).toEqual([1, 0]);
    for (const each of replicas) each.answerOne();
    expect((await slow).status).toBe(200);
  });

  it('keep WebSockets beside requests', async () => {
    const replicas = await several(3, () => startSocketService());
    const gateway = await start(replicas, { balance, service });
    const ann = visitor('ann');
    for (let n = 0; n < 4; n += 1) {
      const socket = new WebSocket(`${gateway.external.replace('http', 'ws')}/shop/live`, {
        headers: ann.fields,
      });
      void held({ [Symbol.dispose]: () => socket.terminate() });
      const upgraded = once(socket, 'upgrade');
      await once(socket, 'open');
      ann.learn((await upgraded)[0].headers['set-cookie']?.[0]);
    }
    expect(replicas.map(({ handshakes }) => handshakes.length).toSorted()).toEqual([0, 0, 4]);
  });

  it('need no replica for what is stored, and ask their own for the rest', async () => {
    const replicas = await several(3, () => startUpstream());
    const gateway = await start(replicas, { balance, service: { ...service, cacheTtl: '1m' } });
    const ann = visitor('ann');
    ann.learn((await get(gateway, '/shop/0', ann.fields)).headers.getSetCookie()[0]);
    for (let n = 1; n < 6; n += 1) {
      const verdicts = [];
      for (let again = 0; again < 2; again += 1)
        verdicts.push((await get(gateway, `/shop/${n}`, ann.fields)).headers.get('x-cache'));
      expect(verdicts).toEqual(['MISS', 'HIT']);
    }
    expect(counts(replicas).toSorted()).toEqual([0, 0, 6]);
  });

  it('are full by their own limits alone: a refusal names no replica, and moves nobody', async () => {
    const replicas = await several(3, () => startUpstream());
    const limits = { rate: { per: 'identity', limit: '2/1h' } };
    const gateway = await start(replicas, { balance, service: { ...service, limits } });
    const ann = visitor('ann');
    for (const status of [200, 200, 429]) {
      const response = await get(gateway, '/shop/x', ann.fields);
      expect(response.status).toBe(status);
      if (status === 429) expect(response.headers.getSetCookie()).toEqual([]);
      ann.learn(response.headers.getSetCookie()[0]);
    }
    expect(counts(replicas).toSorted()).toEqual([0, 0, 2]);
  });
});

describe('balance by hash', () => {
  it('is inherited from defaults, and another one or none on a service or a route', async () => {
    const replicas = await several(3, () => startUpstream());
    const routes = [
      { match: { path: '/any/**' }, balance: 'least-load' as const },
      { match: { path: '/sticky/**' }, balance: STICKY },
    ];
    const gateway = await held(
      startGateway({
        defaults: { balance: BY_ROOM, auth: 'none' },
        services: {
          '/shop': { upstreams: replicas, routes, cacheTtl: 'off' },
          '/other': { upstreams: replicas, balance: 'least-load', cacheTtl: 'off' },
        },
      }),
    );
    const used = async (path: string) => {
      const before = counts(replicas);
      const cookies = [];
      for (let n = 0; n < 3; n += 1) cookies.push(cookieOf(await get(gateway, path, { 'X-Room': '7' })));
      return { replicas: counts(replicas).filter((count, n) => count > (before[n] ?? 0)).length, cookies };
    };
    expect(await used('/shop/x')).toEqual({ replicas: 1, cookies: ['', '', ''] });
    expect((await used('/shop/any/x')).replicas).toBe(3);
    expect((await used('/other/x')).replicas).toBe(3);
    const { cookies } = await used('/shop/sticky/x');
    expect(cookies.every((cookie) => cookie.startsWith('replica-shop='))).toBe(true);
  });

  it('with a side of a split: whoever is on it stays at one replica of it', async () => {
    const [one, two] = [await several(2, () => startUpstream()), await several(2, () => startUpstream())];
    const split = [
      { service: 'one', weight: 1 },
      { service: 'two', weight: 1 },
    ];
    const gateway = await held(
      startGateway({
        defaults: { balance: BY_SUBJECT },
        services: {
          '/one': { upstreams: one, cacheTtl: 'off' },
          '/two': { upstreams: two, cacheTtl: 'off' },
        },
        routes: [{ match: { path: '/api/**' }, split }],
      }),
    );
    const all = [...one, ...two];
    const homes = new Set<number>();
    for (let user = 0; user < USERS; user += 1) {
      const before = counts(all);
      for (let n = 0; n < 3; n += 1) await get(gateway, '/api/x', bearer(tokenFor(`user-${user}`)));
      const grown = counts(all).map((count, n) => count - (before[n] ?? 0));
      expect(grown.toSorted()).toEqual([0, 0, 0, 3]);
      homes.add(grown.indexOf(3));
    }
    expect(homes.size).toBe(4);
  });
});

it.each([
  ['sticky', STICKY],
  ['by hash', BY_SUBJECT],
] as const)(
  'a kept replica whose breaker is open is left at once; a hash leads back to it, a cookie does not: %s',
  async (_how, balance) => {
    const clock = new ManualClock();
    const failing = new Set<number>();
    const replicas: Upstream[] = [];
    for (const n of [0, 1])
      replicas.push(
        await held(startUpstream((_req, res) => void res.writeHead(failing.has(n) ? 500 : 200).end())),
      );
    const gateway = await start(replicas, { balance, clock, service: { retry: 'off' } });
    let cookie = '';
    const ask = async () => {
      const before = counts(replicas);
      const response = await get(gateway, '/shop/x', { Cookie: cookie });
      cookie = cookieOf(response) || cookie;
      return {
        status: response.status,
        at: counts(replicas).findIndex((count, n) => count > (before[n] ?? 0)),
      };
    };
    const { at: home } = await ask();
    failing.add(home);
    for (let n = 0; n < 3; n += 1) expect(await ask()).toEqual({ status: 500, at: home });
    expect(await ask()).toEqual({ status: 200, at: 1 - home });
    failing.clear();
    clock.advance(30_000);
    const later = [await ask(), await ask(), await ask()].map(({ at }) => at);
    // A cookie names the new replica from then on, a hash the old one.
    expect(later.at(-1)).toBe('sticky' in balance ? 1 - home : home);
  },
);
