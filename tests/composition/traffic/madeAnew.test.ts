import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { externalApp } from '../../../gateway/apps.ts';
import { GatewayServer } from '../../../gateway/http/server.ts';
import { CertificateFiles, makeAuthority } from '../../support/certificates.ts';
import { eventually } from '../../support/eventually.ts';
import {
  bearer,
  startGateway,
  type TestGateway,
  type TestGatewayOptions,
  tokenFor,
} from '../../support/gateway/gateway.ts';
import { expectProblem } from '../../support/gateway/problem.ts';
import { holding } from '../../support/jest/holding.ts';
import { ManualClock } from '../../support/manualClock.ts';
import { startGated } from '../../support/upstreams/gated.ts';
import { startTlsService } from '../../support/upstreams/tls/service.ts';
import { hangs, startRawUpstream, startUpstream } from '../../support/upstreams/upstream.ts';

const held = holding();

/** The same parts behind chains that were made once more, as a reload makes them: on a port of its own. */
async function madeAnew({ gateway: { parts } }: TestGateway): Promise<string> {
  const { headersTimeoutMs, maxRequestHeadBytes, sendTimeoutMs, maxConnections } = parts.settings;
  const { keepAliveTimeoutMs, connectionMaxAgeMs } = parts.settings;
  const server = new GatewayServer(externalApp(parts), {
    ...{ headersTimeoutMs, sendTimeoutMs, maxConnections, keepAliveTimeoutMs, connectionMaxAgeMs },
    maxHeadBytes: maxRequestHeadBytes,
    clock: parts.clock,
    connections: parts.limits.connections.external,
    trustsPeer: parts.trustsPeer,
  });
  const port = await server.listen(0, '127.0.0.1');
  void held({
    [Symbol.asyncDispose]: () =>
      server.drain({ graceOver: AbortSignal.abort(), outOfTime: AbortSignal.abort() }),
  });
  return `http://127.0.0.1:${port}`;
}

interface World {
  readonly gateway: TestGateway;
  /** The gateway's port, and the one of the chains made anew. */
  readonly ports: readonly [string, string];
}

async function start(options: TestGatewayOptions): Promise<World> {
  const gateway = await held(startGateway(options));
  return { gateway, ports: [gateway.external, await madeAnew(gateway)] };
}

const ANN = bearer(tokenFor('ann'));
const get = (port: string, target = '/shop/x', headers: Record<string, string> = ANN) =>
  fetch(port + target, { headers });

const requestsOf = (replicas: readonly { readonly requests: readonly unknown[] }[]) =>
  replicas.map(({ requests }) => requests.length);

describe('chains that are made anew go on with', () => {
  it('whose turn it is by weight', async () => {
    const replicas = [await held(startUpstream()), await held(startUpstream()), await held(startUpstream())];
    const upstreams = replicas.map(({ url }, n) => ({ url, weight: [6, 3, 1][n] as number }));
    const { ports } = await start({ services: { '/shop': { upstreams, cacheTtl: 'off' } } });
    for (let n = 0; n < 5; n += 1) for (const port of ports) await get(port);
    expect(requestsOf(replicas)).toEqual([6, 3, 1]);
  });

  it('the replica that a cookie or a hash names', async () => {
    const replicas = [await held(startUpstream()), await held(startUpstream()), await held(startUpstream())];
    const { ports } = await start({
      services: {
        '/shop': { upstreams: replicas, cacheTtl: 'off', balance: { sticky: 'cookie' } },
        '/rooms': { upstreams: replicas, cacheTtl: 'off', balance: { hash: 'header:x-room' } },
      },
    });
    const [before, after] = ports;
    const first = await get(before);
    const Cookie = first.headers.getSetCookie()[0]?.split(';')[0] ?? '';
    const counts = requestsOf(replicas);
    for (let n = 0; n < 5; n += 1) {
      const response = await get(after, '/shop/x', { ...ANN, Cookie });
      expect([response.status, response.headers.getSetCookie()]).toEqual([200, []]);
    }
    expect(requestsOf(replicas)).toEqual(counts.map((count) => 6 * count));
    for (let room = 0; room < 8; room += 1) {
      const from = requestsOf(replicas);
      for (const port of ports) await get(port, '/rooms/x', { ...ANN, 'X-Room': `${room}` });
      expect(
        requestsOf(replicas)
          .map((count, n) => count - (from[n] ?? 0))
          .toSorted(),
      ).toEqual([0, 0, 2]);
    }
  });

  it('the side of each user', async () => {
    const [one, two] = [await held(startUpstream()), await held(startUpstream())];
    const split = [
      { service: 'shop', weight: 1 },
      { service: 'next', weight: 1 },
    ];
    const { ports } = await start({
      services: {
        '/shop': { upstreams: [one], cacheTtl: 'off', routes: [{ match: { path: '/**' }, split }] },
        '/next': { upstreams: [two], cacheTtl: 'off' },
      },
    });
    const sides = new Set<number>();
    for (let user = 0; user < 16; user += 1) {
      const from = requestsOf([one, two]);
      for (const port of ports) await get(port, '/shop/x', bearer(tokenFor(`user-${user}`)));
      const grown = requestsOf([one, two]).map((count, n) => count - (from[n] ?? 0));
      expect(grown.toSorted()).toEqual([0, 2]);
      sides.add(grown.indexOf(2));
    }
    expect(sides.size).toBe(2);
  });

  it('the copies that are under way, those of all routes together', async () => {
    const clock = new ManualClock();
    const [shop, shadow] = [await held(startUpstream()), await held(startRawUpstream(hangs))];
    const mirror = { service: 'shadow', timeout: '1s' };
    const routes = [{ match: { path: '/own/**' }, mirror: { ...mirror, timeout: '2s' } }];
    const { gateway, ports } = await start({
      services: { '/shop': { upstreams: [shop], cacheTtl: 'off', mirror, routes }, '/shadow': [shadow] },
      clock,
    });
    const result = (name: string) => gateway.metric('gateway_mirrored_requests_total', { result: name });
    for (let n = 0; n < 25; n += 1) {
      for (const port of ports) {
        await get(port, '/shop/x');
        await get(port, '/shop/own/x');
      }
    }
    await eventually('a hundred copies', () => shadow.requests.length === 100);
    for (const port of ports) expect((await get(port, '/shop/x')).status).toBe(200);
    await eventually('no room for two more', async () => (await result('busy')) === 2);
    clock.advance(1_000);
    await eventually('half of them are given up', async () => (await result('timeout')) === 50);
    for (const port of ports) await get(port, '/shop/own/x');
    await eventually('there is room', () => shadow.requests.length === 102);
    clock.advance(2_000);
    await eventually('all are given up', async () => (await result('timeout')) === 102);
  });

  it('what checks and breakers have found, without asking anew', async () => {
    const clock = new ManualClock();
    let status = 200;
    const replicas = [
      await held(startUpstream((_req, res) => void res.writeHead(status).end('one'))),
      await held(startUpstream((_req, res) => void res.end('other'))),
    ];
    const failing = await held(startUpstream((_req, res) => void res.writeHead(500).end()));
    const health = { path: '/up', interval: '10s', unhealthyAfter: 1, healthyAfter: 1 } as const;
    const services = { '/shop': { upstreams: replicas, health, cacheTtl: 'off' }, '/failing': [failing] };
    const gateway = await held(startGateway({ services, clock }));
    const isOut = async () => (await gateway.metric('gateway_replica_health')) === 1;
    status = 503;
    await eventually('it is out', () => {
      clock.advance(1_000);
      return isOut();
    });
    for (let n = 0; n < 3; n += 1) await get(gateway.external, '/failing/x');
    const probes = requestsOf(replicas);
    const after = await madeAnew(gateway);
    expect(requestsOf(replicas)).toEqual(probes);
    for (let n = 0; n < 6; n += 1) expect(await (await get(after)).text()).toBe('other');
    await expectProblem(await get(after, '/failing/x'), 'circuit_open', { retryAfter: 30 });
  });

  it('permits that are held, a side’s and a route’s', async () => {
    const shop = await held(startGated());
    const split = [
      { service: 'shop', weight: 1 },
      { service: 'next', weight: 0 },
    ];
    const routes = [
      { match: { path: '/both/**' }, split },
      { match: { path: '/own/**' }, split, limits: { concurrency: 1 } },
    ];
    const { ports } = await start({
      services: { '/shop': { upstreams: [shop], concurrency: 1, cacheTtl: 'off', routes }, '/next': [shop] },
    });
    const [before, after] = ports;
    for (const target of ['/shop/both/x', '/shop/own/x']) {
      const held = get(before, target);
      await eventually('it waits', () => shop.waiting.length === 1);
      await expectProblem(await get(after, target), 'service_busy');
      shop.answerOne();
      expect((await held).status).toBe(200);
    }
  });

  it('the connections to a service over TLS', async () => {
    const authority = makeAuthority('our CA');
    const files = new CertificateFiles();
    void held({ [Symbol.asyncDispose]: async () => files[Symbol.dispose]() });
    const ca = join(files.directory, 'ca.pem');
    writeFileSync(ca, authority.cert);
    const shop = await held(startTlsService(authority.issue('server')));
    const { ports } = await start({
      services: { '/shop': { upstreams: [shop], tls: { ca }, cacheTtl: 'off' } },
    });
    for (let n = 0; n < 3; n += 1) for (const port of ports) await (await get(port)).text();
    expect([shop.requests.length, shop.connections]).toEqual([6, 1]);
  });
});
