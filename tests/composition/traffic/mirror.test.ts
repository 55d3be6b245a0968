import { describe, expect, it } from '@jest/globals';
import { fieldValue } from '../../../lib/http/fields.ts';
import { RawClient, request } from '../../support/clients/rawClient.ts';
import { eventually } from '../../support/eventually.ts';
import {
  bearer,
  startGateway,
  type TestGateway,
  type TestGatewayOptions,
  tokenFor,
} from '../../support/gateway/gateway.ts';
import { expectNothingHeld, underWay } from '../../support/gateway/nothingHeld.ts';
import { expectProblem } from '../../support/gateway/problem.ts';
import { holding } from '../../support/jest/holding.ts';
import { ManualClock } from '../../support/manualClock.ts';
import { startGated } from '../../support/upstreams/gated.ts';
import { startRegistry } from '../../support/upstreams/registry.ts';
import { hangs, refusedUrl, startRawUpstream, startUpstream } from '../../support/upstreams/upstream.ts';
import { hears, listenTo, startEvents } from './events.ts';

type Origins = TestGatewayOptions['services'][string];

const TOKEN = bearer(tokenFor('ann'));
const MIRROR = { service: 'shadow' };

const held = holding();

/** `/shop`, whose requests are copied to `/shadow`. */
function start(
  shop: readonly (URL | { readonly url: URL })[],
  shadow: Origins,
  { shop: more = {}, ...options }: Partial<Omit<TestGatewayOptions, 'services'>> & { shop?: object } = {},
): Promise<TestGateway> {
  const services = {
    '/shop': { upstreams: shop, cacheTtl: 'off', mirror: MIRROR, ...more },
    '/shadow': shadow,
  };
  return held(startGateway({ ...options, services }));
}

const send = ({ external }: TestGateway, init: RequestInit = {}, target = '/shop/x') =>
  fetch(external + target, { ...init, headers: TOKEN });

/** Waits until so many copies have ended so. */
async function expectCopies(gateway: TestGateway, result: string, times = 1): Promise<void> {
  const labels = { service: '/shop', target: '/shadow', result };
  await eventually(
    `${times} ${result}`,
    async () => (await gateway.metric('gateway_mirrored_requests_total', labels)) === times,
  );
}

/** All copies so far, whatever became of them. */
const copies = (gateway: TestGateway) => gateway.metric('gateway_mirrored_requests_total');

describe('a mirror and event streams', () => {
  it('a caller hears each event at once, also when the copy of its request has long been given up', async () => {
    const clock = new ManualClock();
    const [shop, shadow] = [await held(startEvents()), await held(startEvents())];
    const gateway = await start([shop], [shadow], { clock, shop: { mirror: { ...MIRROR, timeout: '1s' } } });
    const client = await held(listenTo(gateway.external, '/shop/events', TOKEN));
    await eventually('the copy', () => shadow.streams.size === 1);
    shadow.say('of the copy');
    shop.say('one');
    await hears(client, 'one');
    clock.advance(1_000);
    await expectCopies(gateway, 'timeout');
    await eventually('its stream is closed', () => shadow.streams.size === 0);
    shop.say('two');
    await hears(client, 'two');
    shop.end();
    expect((await client.answer()).body).toBe('data: one\n\ndata: two\n\n');
    await expectNothingHeld(gateway);
  });

  it('a client that leaves its stream ends it at the service, and not the copy', async () => {
    const [shop, shadow] = [await held(startEvents()), await held(startEvents())];
    const gateway = await start([shop], [shadow]);
    const client = await held(listenTo(gateway.external, '/shop/events', TOKEN));
    await eventually('the copy', () => shadow.streams.size === 1);
    client.reset();
    await eventually('the stream is closed', () => shop.streams.size === 0);
    expect(shadow.streams.size).toBe(1);
    shadow.end();
    await expectCopies(gateway, 'completed');
    await expectNothingHeld(gateway);
  });
});

describe('a mirror and clients that leave', () => {
  it.each(['GET', 'POST'])(
    'before the response to a %s: the copy is whole, and ends as it would',
    async (method) => {
      const shop = await held(startRawUpstream(hangs));
      const shadow = await held(startGated());
      const gateway = await start([shop], [shadow]);
      const client = await held(RawClient.to(gateway.external));
      const content = method === 'POST' ? 'all of it' : '';
      const authorization = `Authorization: ${TOKEN.Authorization}`;
      client.send(request(`${method} /shop/x`, authorization, `Content-Length: ${content.length}`) + content);
      await eventually('the copy', () => shadow.waiting.length === 1);
      client.reset();
      await eventually('the service is left alone', () => shop.open === 0);
      shadow.answerOne();
      await expectCopies(gateway, 'completed');
      expect(shadow.requests[0]?.body.toString()).toBe(content);
      await expectNothingHeld(gateway);
      // Neither of the two has failed.
      expect(await gateway.metric('gateway_circuit_breaker_failures_total')).toBe(0);
    },
  );

  it('a hundred at once: each request has one copy or none, and nothing is held', async () => {
    const shop = await held(startRawUpstream(hangs));
    const shadow = await held(startUpstream());
    const gateway = await start([shop], [shadow], {
      env: { PER_SERVICE_LIMIT: '200', GLOBAL_CONCURRENCY: '200', FAIR_SHARE: '1' },
    });
    const authorization = `Authorization: ${TOKEN.Authorization}`;
    const clients = await Promise.all(
      Array.from({ length: 100 }, () => held(RawClient.to(gateway.external))),
    );
    // Every other one leaves with half of its content.
    for (const [n, client] of clients.entries())
      client.send(
        request(`POST /shop/${n}`, authorization, 'Content-Length: 8') + (n % 2 ? 'half' : 'whole on'),
      );
    await eventually(
      'they are there',
      async () => (await gateway.metric('gateway_concurrent_requests')) === 100,
    );
    await expectCopies(gateway, 'completed', 50);
    for (const client of clients) client.reset();
    await expectCopies(gateway, 'abandoned', 50);
    await expectNothingHeld(gateway);
    expect(shadow.requests.map(({ body }) => String(body))).toEqual(Array(50).fill('whole on'));
  });
});

describe('a mirror without a replica that may have copies', () => {
  async function expectNone(gateway: TestGateway): Promise<void> {
    for (let n = 0; n < 3; n += 1) {
      expect((await send(gateway)).status).toBe(200);
      expect((await send(gateway, { method: 'POST', body: 'x' })).status).toBe(200);
    }
    await expectCopies(gateway, 'no_replica', 6);
    const said = gateway.logLines().filter(({ message }) => String(message).startsWith('Mirror: '));
    expect(said).toEqual([
      expect.objectContaining({
        level: 'warn',
        message:
          'Mirror: a request was not copied to shadow as it should, since it has no replica that takes requests',
      }),
    ]);
  }

  it('the registry lists none: callers are served, it is counted, and said once', async () => {
    const shop = await held(startUpstream());
    const { url } = await held(startRegistry());
    await expectNone(await start([shop], [], { env: { SERVICE_DISCOVERY_URL: url } }));
  });

  it('none passes its health check', async () => {
    const shop = await held(startUpstream());
    const shadow = await held(
      startUpstream((req, res) => void res.writeHead(req.url === '/up' ? 503 : 200).end()),
    );
    const health = { path: '/up', interval: '25ms', unhealthyAfter: 1, healthyAfter: 1 };
    const gateway = await start([shop], { upstreams: [shadow], health });
    await eventually('it is out', async () => (await gateway.metric('gateway_replica_health')) === 0);
    await expectNone(gateway);
    expect(shadow.requests.filter(({ target }) => target !== '/up')).toEqual([]);
  });

  it('its breaker is open: no copy is a trial, and copies go on once a user has closed it', async () => {
    const clock = new ManualClock();
    const shop = await held(startUpstream());
    let status = 500;
    const shadow = await held(startUpstream((_req, res) => void res.writeHead(status).end()));
    const gateway = await start([shop], { upstreams: [shadow], cacheTtl: 'off' }, { clock });
    for (let n = 0; n < 3; n += 1) await send(gateway, {}, '/shadow/x');
    await expectNone(gateway);
    status = 200;
    clock.advance(30_000);
    expect((await send(gateway)).status).toBe(200);
    await expectCopies(gateway, 'no_replica', 7);
    expect((await send(gateway, {}, '/shadow/x')).status).toBe(200);
    expect((await send(gateway)).status).toBe(200);
    await expectCopies(gateway, 'completed');
    expect(shadow.requests).toHaveLength(5);
  });
});

describe('a mirror and limits', () => {
  it('what is refused is not copied: no token, a rate, no permit, too much content', async () => {
    const shop = await held(startGated());
    const shadow = await held(startUpstream());
    const limits = { body: '10', concurrency: 1, rate: { per: 'identity', limit: '3/1h' } };
    const gateway = await start([shop], [shadow], { shop: { limits } });
    await expectProblem(await fetch(`${gateway.external}/shop/x`), 'token_missing');
    const first = send(gateway);
    await underWay(gateway, 1);
    await expectProblem(await send(gateway), 'service_busy');
    shop.answerOne();
    expect((await first).status).toBe(200);
    expect((await send(gateway, { method: 'POST', body: 'x'.repeat(11) })).status).toBe(413);
    const second = send(gateway);
    await eventually('it waits', () => shop.waiting.length === 1);
    shop.answerOne();
    expect((await second).status).toBe(200);
    expect((await send(gateway)).status).toBe(429);
    await expectCopies(gateway, 'completed', 2);
    expect(shadow.requests).toHaveLength(2);
  });

  it("a copy needs no permit of its service and takes none from that service's users", async () => {
    const shop = await held(startUpstream());
    const shadow = await held(startGated());
    const gateway = await start([shop], { upstreams: [shadow], concurrency: 1, cacheTtl: 'off' });
    for (let n = 0; n < 5; n += 1) expect((await send(gateway)).status).toBe(200);
    await eventually('five copies', () => shadow.waiting.length === 5);
    const users = send(gateway, {}, '/shadow/own');
    await eventually('a user beside them', () => shadow.waiting.length === 6);
    for (let n = 0; n < 6; n += 1) shadow.answerOne();
    expect((await users).status).toBe(200);
    await expectCopies(gateway, 'completed', 5);
    await expectNothingHeld(gateway);
  });
});

describe('a mirror of a service that takes no requests', () => {
  it('gets no copies of what is refused since the breaker is open, or no replica passes its check', async () => {
    let status = 500;
    const shop = await held(startUpstream((_req, res) => void res.writeHead(status).end()));
    const unwell = await held(startUpstream((_req, res) => void res.writeHead(503).end()));
    const shadow = await held(startUpstream());
    const health = { path: '/up', interval: '25ms', unhealthyAfter: 1, healthyAfter: 1 };
    const own = { cacheTtl: 'off', mirror: MIRROR };
    const gateway = await held(
      startGateway({
        services: {
          '/shop': { upstreams: [shop], ...own },
          '/unwell': { upstreams: [unwell], health, ...own },
          '/shadow': [shadow],
        },
      }),
    );
    for (let n = 0; n < 3; n += 1) expect((await send(gateway)).status).toBe(500);
    await eventually('it is out', async () => (await gateway.metric('gateway_replica_health')) === 0);
    await expectCopies(gateway, 'completed', 3);
    status = 200;
    for (let n = 0; n < 5; n += 1) {
      for (const init of [{}, { method: 'POST', body: 'x' }]) {
        await expectProblem(await send(gateway, init), 'circuit_open', { retryAfter: 30 });
        await expectProblem(await send(gateway, init, '/unwell/x'), 'no_healthy_replica', { retryAfter: 5 });
      }
    }
    await expectNothingHeld(gateway);
    // A copy would have been sent before this one.
    expect((await send(gateway, {}, '/shadow/last')).status).toBe(200);
    expect(shadow.requests.map(({ target }) => target)).toEqual(['/x', '/x', '/x', '/last']);
  });
});

describe('a mirror and second tries', () => {
  it.each(['POST', 'GET'])(
    'a %s that the first replica did not get is copied once, whole',
    async (method) => {
      const [shop, shadow] = [await held(startUpstream()), await held(startUpstream())];
      const gateway = await start([refusedUrl(), shop], [shadow]);
      const init = method === 'POST' ? { method, body: 'content' } : { method };
      for (let n = 1; n <= 4; n += 1) {
        expect((await send(gateway, init)).status).toBe(200);
        await expectCopies(gateway, 'completed', n);
      }
      expect(await gateway.metric('gateway_failovers_total')).toBeGreaterThan(0);
      for (const requests of [shop.requests, shadow.requests])
        expect(requests.map(({ body }) => String(body))).toEqual(Array(4).fill(init.body ?? ''));
    },
  );

  it('a request that is hedged is copied once', async () => {
    const clock = new ManualClock();
    const [one, two] = [await held(startGated()), await held(startGated())];
    const shadow = await held(startUpstream());
    const gateway = await start([one, two], [shadow], { clock });
    const waits = () => one.waiting.length + two.waiting.length;
    for (let n = 0; n < 4; n += 1) {
      const served = send(gateway);
      await eventually('it waits', () => waits() === 1);
      for (const each of [one, two]) each.answerOne();
      expect((await served).status).toBe(200);
    }
    clock.advance(1);
    const slow = send(gateway);
    await eventually('it waits', () => waits() === 1);
    clock.advance(1_500);
    await eventually('both have it', () => waits() === 2);
    for (const each of [one, two]) each.answerOne();
    expect((await slow).status).toBe(200);
    await expectCopies(gateway, 'completed', 5);
    expect(await gateway.metric('gateway_hedges_total')).toBe(1);
    expect(await copies(gateway)).toBe(5);
  });
});

describe('a mirror, and who the copy is from', () => {
  it('a copy has the cookies of the request but the one that names a replica', async () => {
    const [shop, shadow] = [await held(startUpstream()), await held(startUpstream())];
    const gateway = await start([shop], [shadow], { shop: { balance: { sticky: 'cookie' } } });
    const first = await send(gateway);
    const cookie = first.headers.getSetCookie()[0]?.split(';')[0] ?? '';
    expect(cookie).toMatch(/^replica-shop=/);
    const headers = { ...TOKEN, Cookie: `a=1; ${cookie}` };
    await fetch(`${gateway.external}/shop/x`, { headers });
    await expectCopies(gateway, 'completed', 2);
    expect(shadow.requests.map(({ fields }) => fieldValue(fields, 'cookie')).filter(Boolean)).toEqual([
      'a=1',
    ]);
  });

  it('a copy has the content of a login, which is collected before, and of a request with trailers', async () => {
    const [shop, shadow] = [await held(startUpstream()), await held(startUpstream())];
    const routes = [{ match: { methods: ['POST'], path: '/login' }, token: 'issue' }];
    const gateway = await start([shop], [shadow], { shop: { routes } });
    const login = await fetch(`${gateway.external}/shop/login`, { method: 'POST', body: 'name=ann' });
    expect(login.status).toBe(200);
    await expectCopies(gateway, 'completed', 1);
    const client = await held(RawClient.to(gateway.external));
    const fields = [`Authorization: ${TOKEN.Authorization}`, 'Transfer-Encoding: chunked', 'Trailer: X-Sum'];
    client.send(`${request('PUT /shop/x', ...fields)}5\r\nhello\r\n0\r\nX-Sum: 7\r\n\r\n`);
    expect((await client.answer()).status).toBe(200);
    await expectCopies(gateway, 'completed', 2);
    expect(shadow.requests.map(({ body }) => String(body))).toEqual(['name=ann', 'hello']);
    expect(shop.requests.map(({ body }) => String(body))).toEqual(['name=ann', 'hello']);
  });

  it('of what waits for one response of the cache, one is copied; what is stored is not', async () => {
    const shop = await held(startGated());
    const shadow = await held(startUpstream());
    const gateway = await start([shop], [shadow], { shop: { cacheTtl: '1m' } });
    const all = Array.from({ length: 5 }, () => send(gateway));
    await eventually('it waits', () => shop.waiting.length === 1);
    await eventually(
      'all are there',
      async () => (await gateway.metric('gateway_concurrent_requests')) === 5,
    );
    shop.answerOne();
    for (const each of all) expect((await each).status).toBe(200);
    expect((await send(gateway)).headers.get('x-cache')).toBe('HIT');
    await expectCopies(gateway, 'completed');
    expect(await copies(gateway)).toBe(1);
  });
});
