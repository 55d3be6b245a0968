import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { WebSocket } from 'ws';
import { fieldValue } from '../../../lib/http/fields.ts';
import { Sides } from '../../../lib/split/sides.ts';
import { CertificateFiles, makeAuthority, makeCertificate } from '../../support/certificates.ts';
import { call } from '../../support/clients/client.ts';
import { RawClient, request, sendRaw } from '../../support/clients/rawClient.ts';
import { eventually } from '../../support/eventually.ts';
import { bearer, tokenFor } from '../../support/gateway/gateway.ts';
import { type GatewayProcess, startGatewayProcess } from '../../support/gateway/gatewayProcess.ts';
import { runGateway } from '../../support/gateway/gatewayRun.ts';
import { startTlsService } from '../../support/upstreams/tls/service.ts';
import {
  hangs,
  refusedUrl,
  startRawUpstream,
  startUpstream,
  type Upstream,
} from '../../support/upstreams/upstream.ts';
import { type SocketService, startSocketService } from '../../support/upstreams/webSocket.ts';
import { type EventService, hears, listenTo, startEvents } from './events.ts';

// Processes take their time to start on a machine that may be busy.
jest.setTimeout(120_000);

/** So many connections, each of which either thread may have, are never all of one thread. */
const MANY = 40;
const END_ON_DEMAND = new URL('../../support/programs/endOnDemand.ts', import.meta.url).href;
const SPLIT = [
  { service: 'shop', weight: 1 },
  { service: 'next', weight: 1 },
];
const ANN = bearer(tokenFor('ann'));

/** What a metric says of all threads together. */
async function metric(
  { internal }: Pick<GatewayProcess, 'internal'>,
  name: string,
  labels: string,
): Promise<number> {
  const text = (await call(`${internal}/metrics`)).body.toString();
  return text
    .split('\n')
    .filter((line) => line.startsWith(`${name}{`) && line.includes(labels))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
}

const targetsOf = ({ requests }: Upstream) => requests.map(({ target }) => target).toSorted();

describe('two threads', () => {
  const stack = new AsyncDisposableStack();
  let gateway: GatewayProcess;
  let weighted: Upstream[];
  let events: EventService[];
  let rooms: Upstream[];
  let shop: Upstream;
  let next: Upstream;
  let sockets: SocketService[];
  let copied: Upstream;
  let copies: Upstream;
  let slow: Upstream;
  let left: Upstream;
  let hanging: Upstream;
  let streamed: EventService;
  let streamCopies: EventService;

  const several = async <T extends AsyncDisposable>(count: number, start: () => Promise<T>): Promise<T[]> =>
    Promise.all(Array.from({ length: count }, async () => stack.use(await start())));
  const get = (target: string, headers: Record<string, string> = ANN) =>
    call(gateway.external + target, { headers });

  beforeAll(async () => {
    const [a, b, c, d, e, f, g, h] = await several(8, () => startUpstream());
    [shop, next, copied, copies, slow] = [a, b, c, d, e] as [
      Upstream,
      Upstream,
      Upstream,
      Upstream,
      Upstream,
    ];
    weighted = [f, g] as Upstream[];
    left = h as Upstream;
    rooms = await several(3, () => startUpstream());
    events = await several(2, () => startEvents());
    sockets = await several(2, () => startSocketService());
    [streamed, streamCopies] = (await several(2, () => startEvents())) as [EventService, EventService];
    hanging = stack.use(await startRawUpstream(hangs));
    const plain = { cacheTtl: 'off' } as const;
    const parts = (replicas: readonly { readonly url: URL }[]) =>
      replicas.map(({ url }, n) => ({ url, weight: n === 0 ? 3 : 1 }));
    gateway = stack.use(
      await startGatewayProcess({
        services: {
          '/weighted': { upstreams: parts(weighted), ...plain },
          '/events': { upstreams: parts(events) },
          '/rooms': { upstreams: rooms, balance: { hash: 'header:x-room' }, ...plain },
          '/shop': { upstreams: [shop], routes: [{ match: { path: '/**' }, split: SPLIT }], ...plain },
          '/next': { upstreams: [next], ...plain },
          '/chat': {
            upstreams: [sockets[0] as SocketService],
            routes: [
              {
                match: { path: '/**' },
                split: [
                  { service: 'chat', weight: 1 },
                  { service: 'chat-next', weight: 1 },
                ],
              },
            ],
          },
          '/chat-next': [sockets[1] as SocketService],
          '/copied': { upstreams: [copied], mirror: { service: 'copies' }, ...plain },
          '/left': { upstreams: [left], mirror: { service: 'copies' }, ...plain },
          '/copies': { upstreams: [copies], ...plain },
          '/slow': { upstreams: [slow], mirror: { service: 'hanging', timeout: '2s' }, ...plain },
          '/hanging': [hanging],
          '/streamed': { upstreams: [streamed], mirror: { service: 'stream-copies' } },
          '/stream-copies': { upstreams: [streamCopies], requestTimeout: '60s' },
          '/lost': { upstreams: [copied], mirror: { service: 'nowhere' }, ...plain },
          '/nowhere': [refusedUrl()],
        },
        routes: [
          {
            match: { path: '/shop/**', headers: { 'x-canary': '1' } },
            service: 'next',
            rewrite: '/**',
          },
        ],
        env: { WORKERS: '2', FAIR_SHARE: '1', PER_SERVICE_LIMIT: '500', GLOBAL_CONCURRENCY: '500' },
      }),
    );
  });
  afterAll(() => stack.disposeAsync());

  const sideOf = (user: string, salt: string) => {
    const sides = new Sides(salt, [1, 1]);
    return sides.sideAt(sides.pointOf(`nobody sub string:${user}`));
  };

  it('deal out requests by weight together', async () => {
    for (let n = 0; n < 2 * MANY; n += 1) await get(`/weighted/${n}`);
    const [large = 0, small = 0] = weighted.map(({ requests }) => requests.length);
    expect(large + small).toBe(2 * MANY);
    // Two threads may take a turn at once.
    expect(Math.abs(large - 60)).toBeLessThanOrEqual(2);
  });

  it('deal out open event streams by weight together', async () => {
    const clients: RawClient[] = [];
    for (let n = 0; n < MANY; n += 1) clients.push(await listenTo(gateway.external, '/events/x', ANN));
    const open = () => events.map(({ streams }) => streams.size);
    const [large = 0] = open();
    expect(Math.abs(large - 30)).toBeLessThanOrEqual(2);
    for (const client of clients) client.reset();
    await eventually('all are closed', () => open().every((size) => size === 0));
  });

  it('ask one replica for what has one hash', async () => {
    for (let room = 0; room < 12; room += 1) {
      const before = rooms.map(({ requests }) => requests.length);
      for (let n = 0; n < 8; n += 1) await get('/rooms/x', { ...ANN, 'X-Room': `${room}` });
      const grown = rooms.map(({ requests }, n) => requests.length - (before[n] ?? 0));
      expect(grown.toSorted((one, other) => one - other)).toEqual([0, 0, 8]);
    }
    expect(rooms.every(({ requests }) => requests.length > 0)).toBe(true);
  });

  it('keep each user on one side, and whoever says so at the canary', async () => {
    for (let user = 0; user < 10; user += 1) {
      const headers = bearer(tokenFor(`user-${user}`));
      const before = [shop, next].map(({ requests }) => requests.length);
      for (let n = 0; n < 8; n += 1) await get('/shop/x', headers);
      const grown = [shop, next].map(({ requests }, n) => requests.length - (before[n] ?? 0));
      expect(grown).toEqual(sideOf(`user-${user}`, '/shop') === 0 ? [8, 0] : [0, 8]);
    }
    const before = shop.requests.length;
    for (let n = 0; n < 16; n += 1)
      await get('/shop/x', { ...bearer(tokenFor(`user-${n}`)), 'X-Canary': '1' });
    expect(shop.requests.length).toBe(before);
  });

  it('keep the WebSockets of each user on one side', async () => {
    for (let user = 0; user < 6; user += 1) {
      const before = sockets.map(({ handshakes }) => handshakes.length);
      for (let n = 0; n < 4; n += 1) {
        const headers = bearer(tokenFor(`user-${user}`));
        const socket = new WebSocket(`${gateway.external.replace('http', 'ws')}/chat/x`, { headers });
        await once(socket, 'open');
        socket.send('hello');
        expect(String((await once(socket, 'message'))[0])).toBe('hello');
        socket.terminate();
      }
      const grown = sockets.map(({ handshakes }, n) => handshakes.length - (before[n] ?? 0));
      expect(grown).toEqual(sideOf(`user-${user}`, '/chat') === 0 ? [4, 0] : [0, 4]);
    }
  });

  it('copy each request once, whole, and count the copies together', async () => {
    const all = Array.from({ length: 2 * MANY }, (_, n) =>
      call(`${gateway.external}/copied/${n}`, {
        method: n % 2 ? 'POST' : 'GET',
        headers: ANN,
        ...(n % 2 ? { body: `content ${n}` } : {}),
      }),
    );
    for (const each of all) expect((await each).status).toBe(200);
    await eventually('the copies', () => copies.requests.length === 2 * MANY);
    expect(targetsOf(copies)).toEqual(targetsOf(copied));
    for (const { target, body, fields } of copies.requests) {
      const n = Number(target.slice(1));
      expect([String(body), fieldValue(fields, 'x-mirrored')]).toEqual([n % 2 ? `content ${n}` : '', '1']);
    }
    const completed = () =>
      metric(
        gateway,
        'gateway_mirrored_requests_total',
        'service="/copied",target="/copies",result="completed"',
      );
    await eventually('all are counted', async () => (await completed()) === 2 * MANY);
  });

  it('have room for a hundred copies each, and callers never notice when there is none', async () => {
    const all = Array.from({ length: 300 }, (_, n) =>
      call(`${gateway.external}/slow/${n}`, { headers: ANN }),
    );
    expect((await Promise.all(all)).filter(({ status }) => status !== 200)).toEqual([]);
    const ended = (result: string) =>
      metric(gateway, 'gateway_mirrored_requests_total', `target="/hanging",result="${result}"`);
    await eventually(
      'each has an end',
      async () => (await ended('busy')) + (await ended('timeout')) === 300,
      30_000,
    );
    // More than one thread has room for, and no more than two have.
    expect(hanging.requests.length).toBeGreaterThan(100);
    expect(hanging.requests.length).toBeLessThanOrEqual(200);
    await eventually('their connections are closed', () => hanging.open === 0);
  });

  it('copy requests for event streams, and of clients that leave', async () => {
    const clients: RawClient[] = [];
    for (let n = 0; n < 20; n += 1) clients.push(await listenTo(gateway.external, `/streamed/${n}`, ANN));
    await eventually('the copies', () => streamCopies.streams.size === 20);
    streamCopies.say('of the copy');
    streamed.say('one');
    for (const client of clients) {
      await hears(client, 'one');
      expect(client.received).not.toContain('of the copy');
    }
    for (const client of clients) client.reset();
    await eventually('all are closed', () => streamed.streams.size === 0);
    expect(streamCopies.streams.size).toBe(20);
    streamCopies.end();
    const labels = 'target="/stream-copies",result="completed"';
    await eventually(
      'all copies have ended',
      async () => (await metric(gateway, 'gateway_mirrored_requests_total', labels)) === 20,
    );
    const leaving = await Promise.all(Array.from({ length: 20 }, () => RawClient.to(gateway.external)));
    const authorization = `Authorization: ${ANN.Authorization}`;
    for (const client of leaving)
      client.send(`${request('POST /left/x', authorization, 'Content-Length: 9')}half`);
    await eventually('all are there', () => left.open === 20);
    for (const client of leaving) client.reset();
    const abandoned = 'target="/copies",result="abandoned"';
    await eventually(
      'none is copied',
      async () => (await metric(gateway, 'gateway_mirrored_requests_total', abandoned)) === 20,
    );
    await eventually('all are called off', () => left.open === 0);
    expect(targetsOf(copies)).not.toContain('/x');
  });

  it('serve whose copies have nowhere to go', async () => {
    for (let n = 0; n < MANY; n += 1) expect((await get('/lost/x')).status).toBe(200);
    const failed = () =>
      metric(gateway, 'gateway_mirrored_requests_total', 'target="/nowhere",result="failed"');
    await eventually('they are counted', async () => (await failed()) === MANY);
  });
});

it('two threads take renewed files of a service over TLS, and say so once', async () => {
  const authority = makeAuthority('our CA');
  const [first, second] = [authority.issue('first'), authority.issue('second')];
  using files = new CertificateFiles();
  files.write(first);
  const ca = join(files.directory, 'ca.pem');
  writeFileSync(ca, authority.cert);
  const server = {
    ...authority.issue('server'),
    ca: authority.cert,
    requestCert: true,
    rejectUnauthorized: true,
  };
  await using service = await startTlsService(server);
  const tls = { ca, cert: files.certFile, key: files.keyFile };
  await using run = runGateway({
    services: {
      '/shop': { upstreams: [service], tls, cacheTtl: 'off', health: { path: '/up', interval: '1s' } },
    },
    env: { WORKERS: '2', LOG_FORMAT: 'json' },
  });
  const { external } = await run.listening();
  const clients = async () => {
    const from = service.requests.length;
    for (let n = 0; n < MANY; n += 1)
      expect((await call(`${external}/shop/${n}`, { headers: ANN })).status).toBe(200);
    return new Set(service.requests.slice(from).map(({ client }) => client));
  };
  const probe = () => service.requests.findLast(({ target }) => target === '/up')?.client;
  await eventually('a check', () => probe() === 'first');
  expect(await clients()).toEqual(new Set(['first']));
  files.write(second);
  await eventually('it says so', () => run.stdout().includes('TLS files of shop renewed'), 30_000);
  // Each thread looks for itself.
  await eventually('both have them', async () => !(await clients()).has('first'), 30_000);
  expect(await clients()).toEqual(new Set(['second']));
  await eventually('the checks have them', () => probe() === 'second', 30_000);
  expect(run.stdout().match(/TLS files of shop renewed/g)).toHaveLength(1);
  files.write({ cert: 'half' });
  await eventually('it says so', () => run.stdout().includes('TLS file of shop cannot be used'), 30_000);
  expect(await clients()).toEqual(new Set(['second']));
  expect(run.stdout().match(/TLS file of shop cannot be used/g)).toHaveLength(1);
});

it('two threads send plain HTTP to https, count it together, and end with the gateway', async () => {
  using files = new CertificateFiles();
  files.write(makeCertificate('gateway'));
  await using shop = await startUpstream();
  await using run = runGateway({
    services: { '/shop': [shop] },
    env: {
      WORKERS: '2',
      LOG_FORMAT: 'json',
      TLS_CERT_FILE: files.certFile,
      TLS_KEY_FILE: files.keyFile,
      HTTP_PORT: '0',
      HTTPS_PUBLIC_PORT: '443',
    },
  });
  const { internal } = await run.listening();
  const [, port] = /"httpPort":(\d+)/.exec(run.stdout()) ?? [];
  const origin = `http://127.0.0.1:${port}`;
  for (let n = 0; n < MANY; n += 1) {
    const line = n % 2 ? `GET /shop/${n}?a=1` : `POST /shop/${n}?a=1`;
    const response = await sendRaw(origin, request(line, 'Content-Length: 0'));
    expect([response.status, response.field('location')]).toEqual([
      308,
      `https://gateway.test/shop/${n}?a=1`,
    ]);
  }
  expect(shop.requests).toEqual([]);
  const counted = () => metric({ internal }, 'gateway_requests_total', 'port="http"');
  await eventually('they are counted', async () => (await counted()) === MANY);
  expect(await run.kill('SIGTERM')).toMatchObject({ exitCode: 0 });
  await expect(call(origin)).rejects.toThrow('ECONNREFUSED');
});

it('a thread that takes the place of another knows weights, checks, cookies and what is under way', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'gateway-traffic-'));
  await using stack = new AsyncDisposableStack();
  stack.defer(() => rmSync(directory, { recursive: true, force: true }));
  const several = async (count: number, handler?: RequestListener) =>
    Promise.all(Array.from({ length: count }, async () => stack.use(await startUpstream(handler))));
  const weighted = await several(2);
  const sticky = await several(3);
  const [well] = (await several(1)) as [Upstream];
  const [out] = (await several(1, (_req, res) => void res.writeHead(503).end())) as [Upstream];
  const hanging = stack.use(await startRawUpstream(hangs));
  const health = { path: '/up', interval: '100ms', unhealthyAfter: 1, healthyAfter: 1 };
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const open = { auth: 'none', cacheTtl: 'off' } as const;
  await using gateway = await startGatewayProcess({
    services: {
      '/weighted': { upstreams: weighted.map(({ url }, n) => ({ url, weight: n === 0 ? 3 : 1 })), ...open },
      '/sticky': { upstreams: sticky, balance: { sticky: 'cookie' }, ...open },
      '/checked': { upstreams: [well, out], health, retry: 'off', breaker: 'off', ...open },
      '/copied': { upstreams: [well], mirror: { service: 'hanging', timeout: '60s' }, ...open },
      '/hanging': [hanging],
    },
    env: {
      WORKERS: '2',
      DATA_DIR: directory,
      // Cookies are of the process: no secret outlives it.
      JWT_SECRET: '',
      JWT_PUBLIC_KEY: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
      FAIR_SHARE: '1',
    },
    execArgv: ['--import', END_ON_DEMAND],
  });
  const get = (target: string, headers: Record<string, string> = {}) =>
    call(gateway.external + target, { headers });
  const [set = ''] = (await get('/sticky/x')).headers['set-cookie'] ?? [];
  const isOut = async () => (await metric(gateway, 'gateway_replica_health', '"/checked"')) === 1;
  await eventually('one is out', isOut);
  for (let n = 0; n < MANY; n += 1) expect((await get('/copied/x')).status).toBe(200);
  await eventually('the copies', () => hanging.open === MANY);

  writeFileSync(join(directory, 'exit-now'), '');
  await eventually('its copies are gone', () => hanging.open < MANY, 30_000);
  const left = hanging.open;
  expect(left).toBeGreaterThan(0);
  const isReady = async () => (await call(`${gateway.internal}/readyz`)).status === 200;
  await eventually('it is replaced', isReady, 30_000);
  const inFlight = () => metric(gateway, 'gateway_lb_instance_in_flight', '"/hanging"');
  await eventually('what it had under way is given back', async () => (await inFlight()) === left, 30_000);

  const before = weighted.map(({ requests }) => requests.length);
  for (let n = 0; n < 2 * MANY; n += 1) expect((await get('/weighted/x')).status).toBe(200);
  const [large = 0] = weighted.map(({ requests }, n) => requests.length - (before[n] ?? 0));
  expect(Math.abs(large - 60)).toBeLessThanOrEqual(2);
  for (let n = 0; n < MANY; n += 1) {
    const kept = await get('/sticky/x', { Cookie: set.split(';')[0] as string });
    expect([kept.status, kept.headers['set-cookie']]).toEqual([200, undefined]);
    expect((await get('/checked/x')).status).toBe(200);
  }
  const asked = sticky.map(({ requests }) => requests.length).toSorted((one, other) => one - other);
  expect(asked).toEqual([0, 0, MANY + 1]);
});
