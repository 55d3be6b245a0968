import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { CertificateFiles, makeAuthority, type TestAuthority } from '../../support/certificates.ts';
import { eventually } from '../../support/eventually.ts';
import { bearer, startGateway, type TestGateway, tokenFor } from '../../support/gateway/gateway.ts';
import { expectNothingHeld, underWay } from '../../support/gateway/nothingHeld.ts';
import { expectProblem } from '../../support/gateway/problem.ts';
import { holding } from '../../support/jest/holding.ts';
import { ManualClock } from '../../support/manualClock.ts';
import { startTlsService } from '../../support/upstreams/tls/service.ts';
import { startUpstream } from '../../support/upstreams/upstream.ts';
import { hears, listenTo } from './events.ts';

const ANN = bearer(tokenFor('ann'));
/** Ports differ in each run, and with them where hashes lead: of so many rooms each replica has some. */
const ROOMS = 60;
const QUICK = { path: '/up', interval: '25ms', unhealthyAfter: 1, healthyAfter: 1 } as const;

const held = holding();

const get = ({ external }: TestGateway, target = '/shop/x') => fetch(external + target, { headers: ANN });

/** A replica that says in `status` whether it is well. */
async function startChecked(handler: (path: string) => string = () => 'ok') {
  const says = { status: 200 };
  const upstream = await held(
    startUpstream((req, res) => {
      if (req.url === '/up') res.writeHead(says.status).end();
      else res.end(handler(req.url ?? ''));
    }),
  );
  return Object.assign(says, upstream);
}

async function expectOut(gateway: TestGateway, left = 0): Promise<void> {
  await eventually('it is out', async () => (await gateway.metric('gateway_replica_health')) === left);
}

describe('health checks', () => {
  it('and the cache: what is stored is given while no replica passes, and stale where that is allowed', async () => {
    const clock = new ManualClock();
    const shop = await startChecked();
    const service = { upstreams: [shop], health: QUICK, cacheTtl: '1m' };
    const gateway = await held(
      startGateway({ services: { '/shop': service }, env: { CACHE_STALE_IF_ERROR: '10m' }, clock }),
    );
    await eventually('a probe', () => {
      clock.advance(30);
      return shop.requests.length > 0;
    });
    expect((await get(gateway)).headers.get('x-cache')).toBe('MISS');
    shop.status = 503;
    await eventually('it is out', async () => {
      clock.advance(30);
      return (await gateway.metric('gateway_replica_health')) === 0;
    });
    expect((await get(gateway)).headers.get('x-cache')).toBe('HIT');
    expect((await get(gateway, '/shop/other')).status).toBe(503);
    clock.advance(120_000);
    const stale = await get(gateway);
    expect([stale.status, await stale.text()]).toEqual([200, 'ok']);
    expect(stale.headers.get('cache-status')).toContain('detail=stale-if-error');
  });

  it('and limits: refusals because no replica passes hold no permit, and a probe needs none', async () => {
    const shop = await startChecked();
    const service = { upstreams: [shop], health: QUICK, concurrency: 1, cacheTtl: 'off' };
    const gateway = await held(startGateway({ services: { '/shop': service } }));
    shop.status = 503;
    await expectOut(gateway);
    for (let n = 0; n < 5; n += 1)
      await expectProblem(await get(gateway), 'no_healthy_replica', { retryAfter: 5 });
    await expectNothingHeld(gateway);
    shop.status = 200;
    await eventually('it is back', async () => (await get(gateway)).status === 200);
  });

  it('and weights: those of the replicas that are left count, and the whole again afterwards', async () => {
    const all = [await startChecked(), await startChecked(), await startChecked()];
    const upstreams = all.map(({ url }, n) => ({ url, weight: [6, 3, 1][n] as number }));
    const service = { upstreams, health: QUICK, cacheTtl: 'off' };
    const gateway = await held(startGateway({ services: { '/shop': service }, env: { SLOW_START: '0' } }));
    await eventually('all are asked', () => all.every(({ requests }) => requests.length > 1));
    const dealt = async (times: number) => {
      const count = () => all.map(({ requests }) => requests.filter(({ target }) => target === '/x').length);
      const before = count();
      for (let n = 0; n < times; n += 1) await get(gateway);
      return count().map((each, n) => each - (before[n] ?? 0));
    };
    expect(await dealt(20)).toEqual([12, 6, 2]);
    const [large] = all as [(typeof all)[number]];
    large.status = 503;
    await expectOut(gateway, 2);
    expect(await dealt(20)).toEqual([0, 15, 5]);
    large.status = 200;
    await expectOut(gateway, 3);
    // Whose turn it is now follows from the requests before, so one may be another's.
    const again = await dealt(40);
    for (const [n, part] of [24, 12, 4].entries())
      expect(Math.abs((again[n] ?? 0) - part)).toBeLessThanOrEqual(1);
  });

  it('and hashes: only keys of the replica that is out move, and they come back', async () => {
    const all = [await startChecked(), await startChecked(), await startChecked()];
    const service = {
      upstreams: all,
      health: QUICK,
      cacheTtl: 'off',
      balance: { hash: 'header:x-room' },
    } as const;
    const gateway = await held(startGateway({ services: { '/shop': service } }));
    await eventually('all are asked', () => all.every(({ requests }) => requests.length > 1));
    let asked = 0;
    const homes = async () => {
      const found: number[] = [];
      for (let room = 0; room < ROOMS; room += 1) {
        asked += 1;
        const target = `/${asked}`;
        await fetch(`${gateway.external}/shop${target}`, { headers: { ...ANN, 'X-Room': `${room}` } });
        found.push(all.findIndex(({ requests }) => requests.some((each) => each.target === target)));
      }
      return found;
    };
    const before = await homes();
    expect(new Set(before).size).toBe(3);
    (all[1] as (typeof all)[number]).status = 503;
    await expectOut(gateway, 2);
    const during = await homes();
    expect(during.map((home, n) => (before[n] === 1 ? home !== 1 : home === before[n]))).toEqual(
      Array(ROOMS).fill(true),
    );
    (all[1] as (typeof all)[number]).status = 200;
    await expectOut(gateway, 3);
    expect(await homes()).toEqual(before);
  });

  it('and second tries: none goes to a replica that is out', async () => {
    const out = await startChecked();
    let breaks = false;
    const used = await held(
      startUpstream((req, res) => {
        if (req.url === '/up' || !breaks) res.end('ok');
        else req.socket.destroy();
      }),
    );
    const service = { upstreams: [used, out], health: QUICK, cacheTtl: 'off', breaker: 'off' } as const;
    const gateway = await held(startGateway({ services: { '/shop': service } }));
    out.status = 503;
    await expectOut(gateway, 1);
    expect((await get(gateway)).status).toBe(200);
    breaks = true;
    for (let n = 0; n < 3; n += 1) expect((await get(gateway)).status).toBe(502);
    expect(out.requests.filter(({ target }) => target !== '/up')).toEqual([]);
  });
});

describe('a service over TLS', () => {
  let authority: TestAuthority;
  let other: TestAuthority;
  const files = new CertificateFiles();
  let tls: { readonly ca: string };
  beforeAll(() => {
    authority = makeAuthority('our CA');
    other = makeAuthority('another CA');
    tls = { ca: join(files.directory, 'ca.pem') };
    writeFileSync(tls.ca, authority.cert);
  });
  afterAll(() => files[Symbol.dispose]());

  it('is asked at another replica when one cannot be trusted, and that one opens its breaker', async () => {
    const [bad, good] = [
      await held(startTlsService(other.issue('server'))),
      await held(startTlsService(authority.issue('server'))),
    ];
    const service = { upstreams: [bad, good], tls, cacheTtl: 'off' };
    const gateway = await held(startGateway({ services: { '/shop': service } }));
    for (let n = 0; n < 10; n += 1) {
      const response = await fetch(`${gateway.external}/shop/${n}`, {
        method: 'POST',
        body: `${n}`,
        headers: ANN,
      });
      expect(response.status).toBe(200);
    }
    expect(bad.requests).toEqual([]);
    expect(good.requests).toHaveLength(10);
    expect(await gateway.metric('gateway_failovers_total')).toBe(3);
    expect(await gateway.metric('gateway_circuit_breaker_state')).toBe(1);
  });

  it('has stored responses given while it cannot be trusted, and its permits back', async () => {
    const clock = new ManualClock();
    const shop = await held(
      startTlsService(
        authority.issue('server'),
        (_req, res) => void res.writeHead(200, { Connection: 'close' }).end('ok'),
      ),
    );
    const service = { upstreams: [shop], tls, cacheTtl: '1m', concurrency: 1, breaker: 'off' } as const;
    const gateway = await held(
      startGateway({ services: { '/shop': service }, env: { CACHE_STALE_IF_ERROR: '10m' }, clock }),
    );
    expect((await get(gateway)).status).toBe(200);
    shop.setSecureContext(other.issue('server'));
    expect((await get(gateway)).headers.get('x-cache')).toBe('HIT');
    for (let n = 0; n < 3; n += 1)
      await expectProblem(await get(gateway, `/shop/${n}`), 'upstream_certificate_invalid');
    clock.advance(120_000);
    expect((await get(gateway)).headers.get('cache-status')).toContain('detail=stale-if-error');
    await expectNothingHeld(gateway);
  });

  it('sends event streams, and hears when a client leaves one', async () => {
    const streams = new Set<{ write(text: string): void }>();
    const shop = await held(
      startTlsService(authority.issue('server'), (_req, res) => {
        res.writeHead(200, { 'Content-Type': 'text/event-stream' }).flushHeaders();
        streams.add(res);
        res.once('close', () => streams.delete(res));
      }),
    );
    const gateway = await held(startGateway({ services: { '/shop': { upstreams: [shop], tls } } }));
    const client = await held(listenTo(gateway.external, '/shop/events', ANN));
    for (const event of ['one', 'two']) {
      for (const stream of streams) stream.write(`data: ${event}\n\n`);
      await hears(client, event);
    }
    await underWay(gateway, 1);
    client.reset();
    await eventually('it is closed', () => streams.size === 0);
    await expectNothingHeld(gateway);
  });

  it('takes the terms of defaults, its own in place of some, or none', async () => {
    const named = authority.issue('server', { names: 'DNS:payments' });
    const [shop, payments] = [
      await held(startTlsService(authority.issue('server'))),
      await held(startTlsService(named)),
    ];
    const plain = await held(startUpstream());
    const gateway = await held(
      startGateway({
        defaults: { tls },
        services: {
          '/shop': [shop],
          '/payments': { upstreams: [payments], tls: { serverName: 'payments' } },
          '/wrong': [payments],
          '/plain': { upstreams: [plain], tls: 'off' },
        },
      }),
    );
    for (const path of ['/shop', '/payments', '/plain'])
      expect((await get(gateway, `${path}/x`)).status).toBe(200);
    await expectProblem(await get(gateway, '/wrong/x'), 'upstream_certificate_invalid');
    expect(payments.requests.map(({ serverName }) => serverName)).toEqual(['payments']);
  });

  it('gets copies as a mirror, and its side of a split, on its own terms', async () => {
    const [plain, next] = [
      await held(startUpstream()),
      await held(startTlsService(authority.issue('server'))),
    ];
    const split = [
      { service: 'shop', weight: 0 },
      { service: 'next', weight: 1 },
    ];
    const routes = [{ match: { path: '/new/**' }, split }];
    const gateway = await held(
      startGateway({
        services: {
          '/shop': { upstreams: [plain], cacheTtl: 'off', mirror: { service: 'next' }, routes },
          '/next': { upstreams: [next], tls, cacheTtl: 'off' },
        },
      }),
    );
    expect((await get(gateway)).status).toBe(200);
    await eventually('the copy', () => next.requests.length === 1);
    expect((await get(gateway, '/shop/new/x')).status).toBe(200);
    expect(next.requests.map(({ target }) => target)).toEqual(['/x', '/new/x']);
    expect(plain.requests).toHaveLength(1);
  });
});
