import { once } from 'node:events';
import { beforeEach, describe, expect, it } from '@jest/globals';
import WebSocket from 'ws';
import type { GatewayFileInput } from '../../config/file/schema.ts';
import { fieldValue } from '../../lib/http/fields.ts';
import { type CallResponse, call } from '../support/clients/client.ts';
import { eventually } from '../support/eventually.ts';
import { explainedIn } from '../support/gateway/explained.ts';
import {
  bearer,
  startGateway,
  type TestGateway,
  type TestGatewayOptions,
  tokenFor,
} from '../support/gateway/gateway.ts';
import { ManualClock } from '../support/manualClock.ts';
import { TEST_SECRET } from '../support/secrets.ts';
import { startUpstream, type Upstream } from '../support/upstreams/upstream.ts';
import { startSocketService } from '../support/upstreams/webSocket.ts';

type RouteInput = NonNullable<GatewayFileInput['routes']>[number];

/** Ports differ in each run, and with them where hashes lead: of so many keys each replica has some. */
const KEYS = 60;
const STICKY = { sticky: 'cookie' } as const;
const NAME = 'replica-shop';
const COOKIE = /^replica-shop=([\w-]{22}); Path=\/shop; HttpOnly; SameSite=Lax$/;

interface World extends AsyncDisposable {
  readonly gateway: TestGateway;
  readonly replicas: readonly Upstream[];
  /** Which of the replicas has had the latest request. */
  latest(): number;
  get(target: string, cookie?: string, more?: Record<string, string>): Promise<CallResponse>;
}

interface WorldOptions extends Partial<Omit<TestGatewayOptions, 'services'>> {
  readonly count?: number;
  readonly handler?: Parameters<typeof startUpstream>[0];
  readonly service?: object;
}

/** A service /shop of so many replicas whose clients need no token. */
async function start({ count = 3, handler, service, ...options }: WorldOptions = {}): Promise<World> {
  const stack = new AsyncDisposableStack();
  const replicas: Upstream[] = [];
  for (let i = 0; i < count; i += 1) replicas.push(stack.use(await startUpstream(handler)));
  const gateway = stack.use(
    await startGateway({
      services: {
        '/shop': { upstreams: replicas, auth: 'none', balance: STICKY, cacheTtl: 'off', ...service },
      },
      ...options,
    }),
  );
  let seen = 0;
  return {
    gateway,
    replicas,
    latest() {
      const now = replicas.map(({ requests }) => requests.length);
      const total = now.reduce((sum, each) => sum + each, 0);
      if (total !== seen + 1) throw new Error(`${total - seen} requests have come`);
      seen = total;
      const grown = now.findIndex((length, i) => length !== (before[i] ?? 0));
      before = now;
      return grown;
    },
    get: (target, cookie, more) =>
      call(gateway.external + target, {
        headers: { ...(cookie !== undefined && { Cookie: cookie }), ...more },
      }),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

let before: number[] = [];

function cookiesOf({ headers }: CallResponse): readonly string[] {
  return headers['set-cookie'] ?? [];
}

/** `name=value` of the one cookie that is set. */
function given(response: CallResponse): string {
  const [cookie = '', ...others] = cookiesOf(response);
  expect(others).toEqual([]);
  return cookie.split(';')[0] ?? '';
}

/** A cookie for each replica, in their order. */
async function cookieForEach(world: World): Promise<string[]> {
  const cookies: string[] = [];
  while (world.replicas.some((_, i) => cookies[i] === undefined)) {
    const cookie = given(await world.get('/shop/x'));
    cookies[world.latest()] = cookie;
  }
  return cookies;
}

function admit({ gateway, replicas }: World, index: number, admission: 'all' | 'none'): void {
  const [service] = gateway.gateway.parts.services;
  service?.replicas.pool.admit((replicas[index] as Upstream).url.host, admission);
}

beforeEach(() => {
  before = [];
});

describe('balance: { sticky: cookie }', () => {
  it('keeps each client at its replica, and tells it so once', async () => {
    await using world = await start();
    const first = await world.get('/shop/x');
    expect(cookiesOf(first)).toEqual([expect.stringMatching(COOKIE)]);
    const replica = world.latest();
    for (let n = 0; n < 10; n += 1) {
      expect(cookiesOf(await world.get(`/shop/${n}`, given(first)))).toEqual([]);
      expect(world.latest()).toBe(replica);
    }
  });

  it('spreads new clients by load, and each replica has a mark of its own', async () => {
    await using world = await start();
    const marks = new Set<string>();
    for (let n = 0; n < 9; n += 1) marks.add(given(await world.get('/shop/x')));
    expect(world.replicas.map(({ requests }) => requests.length)).toEqual([3, 3, 3]);
    expect(marks.size).toBe(3);
    for (const { url } of world.replicas) expect([...marks].join()).not.toContain(url.port);
  });

  it('keeps its cookie from the service, and all others to it', async () => {
    await using world = await start();
    const cookie = given(await world.get('/shop/x'));
    await world.get('/shop/y', `a=1; ${cookie}; b=2`);
    await world.get('/shop/y', cookie);
    const seen = world.replicas.flatMap(({ requests }) =>
      requests.map(({ fields }) => fieldValue(fields, 'cookie')),
    );
    expect(seen.filter(Boolean)).toEqual(['a=1; b=2']);
  });

  it('moves a client whose replica is away, and leaves it where it went', async () => {
    await using world = await start();
    const cookies = await cookieForEach(world);
    admit(world, 1, 'none');
    const moved = given(await world.get('/shop/x', cookies[1]));
    const replica = world.latest();
    expect(replica).not.toBe(1);
    expect(moved).toBe(cookies[replica]);
    admit(world, 1, 'all');
    expect(cookiesOf(await world.get('/shop/x', moved))).toEqual([]);
    expect(world.latest()).toBe(replica);
  });

  it('moves a client whose replica does not respond, within the same request', async () => {
    await using world = await start({ count: 2 });
    const cookies = await cookieForEach(world);
    await (world.replicas[0] as Upstream)[Symbol.asyncDispose]();
    const response = await world.get('/shop/x', cookies[0]);
    expect([response.status, given(response)]).toEqual([200, cookies[1]]);
  });

  it('opens a kept connection that was lost again at the same replica', async () => {
    const used = new Map<object, number>();
    const handler: WorldOptions['handler'] = ({ socket }, res) => {
      const requests = (used.get(socket) ?? 0) + 1;
      used.set(socket, requests);
      if (requests === 1) res.end('ok');
      else socket.destroy();
    };
    await using world = await start({ handler });
    const cookie = given(await world.get('/shop/x'));
    for (let n = 0; n < 6; n += 1) {
      const response = await world.get(`/shop/${n}`, cookie);
      expect([response.status, cookiesOf(response)]).toEqual([200, []]);
    }
    expect(world.replicas.filter(({ requests }) => requests.length > 0)).toHaveLength(1);
  });

  it('sends nothing to a second replica while the first has not failed', async () => {
    const clock = new ManualClock();
    let answer = () => {};
    await using world = await start({
      clock,
      handler: (req, res) => {
        if (req.url === '/slow') answer = () => res.end('late');
        else res.end('ok');
      },
    });
    const cookies = await cookieForEach(world);
    // So that the others are known to be quick, which a hedge asks for.
    for (let n = 0; n < 60; n += 1) await world.get('/shop/x', cookies[n % 3]);
    const before = world.replicas.map(({ requests }) => requests.length);
    const slow = world.get('/shop/slow', cookies[1]);
    const first = world.replicas[1] as Upstream;
    await eventually('it has the request', () => first.requests.at(-1)?.target === '/slow');
    clock.advance(2_900);
    await new Promise((resolve) => setImmediate(resolve));
    expect(await world.gateway.metric('gateway_hedges_total')).toBe(0);
    answer();
    expect([(await slow).status, cookiesOf(await slow)]).toEqual([200, []]);
    const after = world.replicas.map(({ requests }) => requests.length);
    expect(after.map((length, i) => length - (before[i] ?? 0))).toEqual([0, 1, 0]);
  });

  it('sets none where no replica has responded', async () => {
    await using world = await start({ count: 1, handler: (req) => void req.socket.destroy() });
    const response = await world.get('/shop/x');
    expect([response.status, cookiesOf(response)]).toEqual([502, []]);
  });

  it.each([
    ['forged', () => `${NAME}=${'A'.repeat(22)}`],
    ['cut', (cookie: string) => cookie.slice(0, -1)],
    ['too long', (cookie: string) => `${cookie}${'x'.repeat(4000)}`],
    ['empty', () => `${NAME}=`],
    ['in another letter case', (cookie: string) => cookie.replace(NAME, NAME.toUpperCase())],
  ])('takes a cookie that is %s for none, and replaces it', async (_, change) => {
    await using world = await start();
    const cookie = given(await world.get('/shop/x'));
    world.latest();
    const response = await world.get('/shop/x', change(cookie));
    expect(cookiesOf(response)).toEqual([expect.stringMatching(COOKIE)]);
    const replica = world.replicas[world.latest()] as Upstream;
    expect(fieldValue(replica.requests.at(-1)?.fields ?? [], 'cookie')).toBe(undefined);
  });

  it('takes the first of several that is good', async () => {
    await using world = await start();
    const cookies = await cookieForEach(world);
    const several = [`${NAME}=old`, cookies[2], cookies[0]].join('; ');
    expect(cookiesOf(await world.get('/shop/x', several))).toEqual([]);
    expect(world.latest()).toBe(2);
  });

  it('takes a cookie of another service for none', async () => {
    await using replica = await startUpstream();
    await using gateway = await startGateway({
      services: {
        '/a': { upstreams: [replica], auth: 'none', balance: { sticky: 'cookie:node' } },
        '/b': { upstreams: [replica], auth: 'none', balance: { sticky: 'cookie:node' } },
      },
    });
    const ofA = given(await call(`${gateway.external}/a/x`));
    const response = await call(`${gateway.external}/b/x`, { headers: { Cookie: ofA } });
    expect(cookiesOf(response)).toEqual([expect.stringMatching(/^node=[\w-]{22}; Path=\/b; /)]);
    expect(given(response)).not.toBe(ofA);
  });

  it('is the same for all gateways with one secret, and for no others', async () => {
    await using replica = await startUpstream();
    const cookieOf = async (env: Record<string, string>) => {
      const services = { '/shop': { upstreams: [replica], auth: 'none' as const, balance: STICKY } };
      await using gateway = await startGateway({ services, env });
      return given(await call(`${gateway.external}/shop/x`));
    };
    const [one, same, other] = [
      await cookieOf({}),
      await cookieOf({}),
      await cookieOf({ STICKY_SECRET: 'another' }),
    ];
    expect(one).toBe(same);
    expect(other).not.toBe(one);
  });

  it('is Secure for clients that come over https', async () => {
    await using world = await start({ env: { TRUSTED_PROXIES: 'loopback' } });
    const [cookie] = cookiesOf(await world.get('/shop/x', undefined, { 'X-Forwarded-Proto': 'https' }));
    expect(cookie).toMatch(/; SameSite=Lax; Secure$/);
  });

  it('adds its cookie beside those of the service, also on a HEAD and an error of the service', async () => {
    await using world = await start({
      handler: (_req, res) => void res.writeHead(404, { 'Set-Cookie': ['a=1', 'b=2'] }).end(),
    });
    expect(cookiesOf(await world.get('/shop/x'))).toEqual(['a=1', 'b=2', expect.stringMatching(COOKIE)]);
    const head = await call(`${world.gateway.external}/shop/x`, { method: 'HEAD' });
    expect(cookiesOf(head)).toHaveLength(3);
  });

  it('keeps a client with the weight 0 where it is, and sends no new one there', async () => {
    await using heavy = await startUpstream();
    await using spare = await startUpstream();
    const pool = (weight: number) => [heavy, { url: spare.url, weight }];
    const cookies: string[] = [];
    for (const weight of [1, 0]) {
      await using gateway = await startGateway({
        services: { '/shop': { upstreams: pool(weight), auth: 'none', balance: STICKY } },
      });
      for (let n = 0; n < 4; n += 1) {
        const before = spare.requests.length;
        const cookie = given(await call(`${gateway.external}/shop/${n}`));
        if (spare.requests.length > before) cookies.push(cookie);
      }
      if (weight === 0) {
        expect(cookies).toHaveLength(2);
        await call(`${gateway.external}/shop/z`, { headers: { Cookie: cookies[0] as string } });
        expect(spare.requests.at(-1)?.target).toBe('/z');
      }
    }
  });
});

describe('balance: { sticky: cookie } with the cache', () => {
  const PUBLIC = { 'Cache-Control': 'public, max-age=60', 'CDN-Cache-Control': 'max-age=60' };
  const handler: WorldOptions['handler'] = (_req, res) => void res.writeHead(200, PUBLIC).end('kept');

  it('sets its cookie on a miss, stores none, and gives none with what is stored', async () => {
    await using world = await start({ handler, service: { cacheTtl: '1m' } });
    const miss = await world.get('/shop/x');
    const cookie = given(miss);
    const hits = [await world.get('/shop/x'), await world.get('/shop/x', cookie)];
    expect(hits.map((hit) => [hit.headers['x-cache'], cookiesOf(hit)])).toEqual([
      ['HIT', []],
      ['HIT', []],
    ]);
    // A cache in front would give the cookie to everybody.
    expect([miss.headers['cache-control'], miss.headers['cdn-cache-control']]).toEqual([
      'private, no-store',
      undefined,
    ]);
    expect(hits[0]?.headers['cache-control']).toBe('public, max-age=60');
    world.latest();
  });

  it('leaves it said that nothing may be transformed', async () => {
    const fields = { 'Cache-Control': 'public, no-transform', 'Content-Type': 'text/plain' };
    await using world = await start({
      handler: (_req, res) => void res.writeHead(200, fields).end('x'.repeat(5000)),
      service: { compress: true },
    });
    const response = await world.get('/shop/x', undefined, { 'Accept-Encoding': 'gzip' });
    expect(response.headers['cache-control']).toBe('private, no-store, no-transform');
    expect(response.headers['content-encoding']).toBe(undefined);
    expect(cookiesOf(response)).toHaveLength(1);
  });

  it('asks the replica of the client on a miss', async () => {
    await using world = await start({ handler, service: { cacheTtl: '1m' } });
    const cookies: string[] = [];
    for (let n = 0; cookies.filter(Boolean).length < 3; n += 1) {
      const cookie = given(await world.get(`/shop/new/${n}`));
      cookies[world.latest()] = cookie;
    }
    for (const [i, cookie] of cookies.entries()) {
      const response = await world.get(`/shop/own/${i}`, cookie);
      expect([world.latest(), cookiesOf(response), response.headers['cache-control']]).toEqual([
        i,
        [],
        'public, max-age=60',
      ]);
    }
  });
});

describe('balance on routes', () => {
  it('is inherited, and may be another', async () => {
    const routes = [{ match: { path: '/any/**' }, balance: 'least-load' }];
    await using world = await start({
      defaults: { balance: STICKY },
      service: { balance: undefined, routes },
    });
    const cookie = given(await world.get('/shop/x'));
    world.latest();
    const asked = new Set<number>();
    for (let n = 0; n < 3; n += 1) {
      const response = await world.get('/shop/any/x', cookie);
      expect(cookiesOf(response)).toEqual([]);
      asked.add(world.latest());
    }
    expect(asked.size).toBe(3);
    // The browser sends the cookie there, too.
    const seen = world.replicas.flatMap(({ requests }) =>
      requests.map(({ fields }) => fieldValue(fields, 'cookie')),
    );
    expect(seen.filter(Boolean)).toEqual([]);
  });

  it('has a cookie for the paths of a route elsewhere, which no other service sees', async () => {
    await using other = await startUpstream();
    const routes: RouteInput[] = [
      { match: { path: '/api/:version/orders/**' }, service: 'shop' },
      { match: { path: '/api/v1/other/**' }, service: 'other', rewrite: '/**' },
    ];
    await using world = await start();
    await using gateway = await startGateway({
      services: {
        '/shop': { upstreams: world.replicas, auth: 'none', balance: STICKY },
        '/other': { upstreams: [other], auth: 'none' },
      },
      routes,
    });
    const first = await call(`${gateway.external}/api/v1/orders/1`);
    expect(cookiesOf(first)).toEqual([expect.stringMatching(/^replica-shop=[\w-]{22}; Path=\/api; /)]);
    await call(`${gateway.external}/api/v1/other/1`, { headers: { Cookie: `${given(first)}; a=1` } });
    expect(fieldValue(other.requests[0]?.fields ?? [], 'cookie')).toBe('a=1');
  });
});

describe('balance of a route that is split', () => {
  it('has a cookie for each of the services, which the other does not see', async () => {
    await using one = await startUpstream();
    await using two = await startUpstream();
    const sides = [
      { service: 'one', weight: 1 },
      { service: 'two', weight: 1 },
    ];
    await using gateway = await startGateway({
      services: { '/one': [one], '/two': [two] },
      defaults: { balance: STICKY },
      routes: [{ match: { path: '/api/**' }, split: sides }],
    });
    const names = new Set<string>();
    for (let n = 0; n < 30; n += 1) {
      const response = await call(`${gateway.external}/api/x`, {
        headers: { ...bearer(tokenFor(`user-${n}`)), Cookie: 'replica-one=x; a=1; replica-two=x' },
      });
      const [cookie = ''] = cookiesOf(response);
      expect(cookie).toMatch(/^replica-(one|two)=[\w-]{22}; Path=\/api; /);
      names.add(cookie.split('=')[0] ?? '');
    }
    expect(names.size).toBe(2);
    for (const { fields } of [...one.requests, ...two.requests])
      expect(fieldValue(fields, 'cookie')).toBe('a=1');
  });
});

describe('balance: { hash }', () => {
  it.each(['subject', 'address', 'header:X-Room'] as const)(
    'by %s keeps what has one key at one replica',
    async (hash) => {
      await using world = await start({ service: { auth: 'required', balance: { hash } } });
      const replicasOf = async (subject: string, room: string) => {
        const seen = new Set<number>();
        for (let n = 0; n < 4; n += 1) {
          const response = await world.get(`/shop/${n}`, undefined, {
            ...bearer(tokenFor(subject)),
            'X-Room': room,
          });
          expect([response.status, cookiesOf(response)]).toEqual([200, []]);
          seen.add(world.latest());
        }
        expect(seen.size).toBe(1);
        return [...seen][0];
      };
      const all = new Set<number | undefined>();
      for (let n = 0; n < KEYS; n += 1) all.add(await replicasOf(`user-${n}`, `room-${n}`));
      expect(all.size).toBe(hash === 'address' ? 1 : 3);
    },
  );

  it('by a header that is not there goes by the caller', async () => {
    await using world = await start({ service: { balance: { hash: 'header:x-room' } } });
    const seen = new Set<number>();
    for (let n = 0; n < 4; n += 1) {
      await world.get('/shop/x');
      seen.add(world.latest());
    }
    expect(seen.size).toBe(1);
  });

  it('sends everything to another one replica while that is away', async () => {
    await using world = await start({ service: { balance: { hash: 'address' } } });
    await world.get('/shop/x');
    const first = world.latest();
    await (world.replicas[first] as Upstream)[Symbol.asyncDispose]();
    const seen = new Set<number>();
    for (let n = 0; n < 6; n += 1) {
      expect((await world.get('/shop/x')).status).toBe(200);
      seen.add(world.latest());
    }
    expect([seen.size, seen.has(first)]).toEqual([1, false]);
  });
});

describe('balance with WebSockets', () => {
  async function handshake(url: string, headers: Record<string, string> = {}) {
    const socket = new WebSocket(url.replace('http:', 'ws:'), { headers });
    const upgraded = once(socket, 'upgrade');
    await once(socket, 'open');
    socket.terminate();
    const [{ headers: fields }] = await upgraded;
    return (fields['set-cookie'] ?? []) as readonly string[];
  }

  it('keeps a client at its replica, by the cookie of a 101 or of a response before', async () => {
    await using one = await startSocketService();
    await using two = await startSocketService();
    await using gateway = await startGateway({
      services: { '/shop': { upstreams: [one, two], auth: 'none', balance: STICKY } },
    });
    const url = `${gateway.external}/shop/live`;
    const [set = ''] = await handshake(url);
    expect(set).toMatch(COOKIE);
    const chosen = one.handshakes.length === 1 ? one : two;
    for (let n = 0; n < 4; n += 1) {
      expect(await handshake(url, { Cookie: `${set.split(';')[0]}; a=1` })).toEqual([]);
      expect(chosen.handshakes.at(-1)?.headers.cookie).toBe('a=1');
    }
    expect(one.handshakes.length * two.handshakes.length).toBe(0);
  });

  it("is none of the user's credentials: a page elsewhere may open one that brings nothing else", async () => {
    await using service = await startSocketService();
    await using gateway = await startGateway({
      services: {
        '/shop': {
          upstreams: [service],
          auth: 'none',
          balance: STICKY,
          cors: { origins: ['https://app.test'] },
        },
      },
    });
    const url = `${gateway.external}/shop/live`;
    const [set = ''] = await handshake(url);
    await handshake(url, { Cookie: set.split(';')[0] ?? '', Origin: 'https://other.test' });
    expect(service.handshakes).toHaveLength(2);
  });
});

describe('balance on the internal port', () => {
  it('sets no cookie, and goes by a hash', async () => {
    await using world = await start();
    const response = await call(`${world.gateway.internal}/internal/shop/x`);
    expect([response.status, cookiesOf(response)]).toEqual([200, []]);
    await using hashed = await start({ service: { balance: { hash: 'header:x-room' } } });
    before = [];
    const seen = new Set<number>();
    for (let n = 0; n < 4; n += 1) {
      await call(`${hashed.gateway.internal}/internal/shop/${n}`, { headers: { 'X-Room': '7' } });
      seen.add(hashed.latest());
    }
    expect(seen.size).toBe(1);
  });
});

describe('npm run explain', () => {
  const fileOf = ({ replicas }: World, balance: object) => {
    const upstreams = replicas.map(({ url }) => url.origin);
    return JSON.stringify({ services: [{ name: 'shop', path: '/shop', upstreams, auth: 'none', balance }] });
  };
  const env = { JWT_SECRET: TEST_SECRET, AUTH_ISSUE_PATHS: '/shop/in', AUTH_REVOKE_PATHS: '/shop/out' };

  it('says which replica a cookie names, as the gateway goes by it', async () => {
    await using world = await start();
    const file = fileOf(world, STICKY);
    for (const [i, cookie] of (await cookieForEach(world)).entries()) {
      const { upstream } = await explainedIn(file, ['GET', 'http://x/shop/x'], {
        headers: [`Cookie: ${cookie}`],
        env,
      });
      expect(upstream?.choice).toEqual({
        replica: world.replicas[i]?.url.origin,
        reason: 'its cookie names it',
      });
    }
    const { upstream } = await explainedIn(file, ['GET', 'http://x/shop/x'], { env });
    expect(upstream?.choice).toEqual({ reason: 'by load, and the response has a cookie for it' });
  });

  it('says which replica a hash names, as the gateway goes by it', async () => {
    const balance = { hash: 'header:X-Room' };
    await using world = await start({ service: { balance } });
    for (const room of ['1', '2', '3', '4']) {
      await world.get('/shop/x', undefined, { 'X-Room': room });
      const { upstream } = await explainedIn(fileOf(world, balance), ['GET', 'http://x/shop/x'], {
        headers: [`X-Room: ${room}`],
        env,
      });
      const { origin } = (world.replicas[world.latest()] as Upstream).url;
      expect(upstream?.choice).toEqual({ replica: origin, reason: 'by the hash of x-room' });
    }
  });
});
