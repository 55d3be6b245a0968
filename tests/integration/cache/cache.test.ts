import { gzipSync } from 'node:zlib';
import { beforeEach, describe, expect, it } from '@jest/globals';
import { createClient } from 'redis';
import { call } from '../../support/clients/client.ts';
import { RawClient, request, sendRaw } from '../../support/clients/rawClient.ts';
import { eventually } from '../../support/eventually.ts';
import {
  bearer,
  redisTestUrl,
  STORES,
  startGateway,
  type TestGateway,
  tokenFor,
} from '../../support/gateway/gateway.ts';
import { expectProblem } from '../../support/gateway/problem.ts';
import { ManualClock } from '../../support/manualClock.ts';
import { emptyTestRedis } from '../../support/stores/storeProbe.ts';
import {
  refusedUrl,
  says,
  saysAndResets,
  startRawUpstream,
  startUpstream,
  type Upstream,
} from '../../support/upstreams/upstream.ts';

const ann = tokenFor('ann');
const bob = tokenFor('bob');

const get = (
  gateway: TestGateway,
  path = '/budgeting/x',
  token = ann,
  headers: Record<string, string> = {},
) => fetch(`${gateway.external}${path}`, { headers: { ...bearer(token), ...headers } });

/** An upstream that counts its answers and sends these fields with each. */
function counting(fields: Record<string, string | string[]> = {}, status = 200): Promise<Upstream> {
  let answers = 0;
  return startUpstream((_req, res) => {
    answers += 1;
    res.writeHead(status, fields).end(`answer ${answers}`);
  });
}

/** Waits until the answer to `path` is stored: storing happens behind the client's back. */
async function stored(gateway: TestGateway, path = '/budgeting/x', token = ann): Promise<void> {
  await eventually('it is stored', async () => {
    const answer = await get(gateway, path, token);
    await answer.text();
    return answer.headers.get('X-Cache') === 'HIT';
  });
}

/** Whether a second request of the same kind is answered from the cache. */
async function isCached(
  gateway: TestGateway,
  headers: Record<string, string> = {},
  path = '/budgeting/x',
): Promise<boolean> {
  await (await get(gateway, path, ann, headers)).text();
  // The store is asked in order: what this one was to store is there once another has been stored and read.
  await (await get(gateway, '/other/x')).text();
  await stored(gateway, '/other/x');
  const answer = await get(gateway, path, ann, headers);
  await answer.text();
  return answer.headers.get('X-Cache') === 'HIT';
}

describe.each(STORES)('the cache in the %s store', (store) => {
  beforeEach(emptyTestRedis);

  async function start(upstream: Upstream, options: Partial<Parameters<typeof startGateway>[0]> = {}) {
    return startGateway({
      services: { '/budgeting': [upstream], '/other': [upstream] },
      store,
      ...options,
    });
  }

  it('answers the second GET itself and says so', async () => {
    await using upstream = await counting({ 'X-Own': 'a', ETag: '"1"' });
    await using gateway = await start(upstream);
    const first = await get(gateway);
    expect(await first.text()).toBe('answer 1');
    expect(first.headers.get('X-Cache')).toBe('MISS');
    expect(first.headers.get('Cache-Status')).toBe('gateway; fwd=uri-miss');
    await stored(gateway);
    const second = await get(gateway);
    expect(await second.text()).toBe('answer 1');
    expect(second.headers.get('X-Cache')).toBe('HIT');
    expect(second.headers.get('Cache-Status')).toMatch(/^gateway; hit; ttl=(29|30)$/);
    expect(second.headers.get('X-Own')).toBe('a');
    expect(second.headers.get('ETag')).toBe('"1"');
    expect(second.headers.get('Age')).toBe('0');
    expect(second.headers.get('X-Request-Id')).not.toBe(first.headers.get('X-Request-Id'));
    expect(upstream.requests).toHaveLength(1);
  });

  it('counts what it answered, what it could not, and costs the service nothing', async () => {
    await using upstream = await counting();
    await using gateway = await start(upstream);
    await get(gateway);
    await stored(gateway);
    const hits = await gateway.metric('gateway_cache_hits_total', { service: '/budgeting' });
    const load = await gateway.metric('gateway_lb_instance_load');
    for (let n = 0; n < 5; n += 1) await get(gateway);
    expect(await gateway.metric('gateway_cache_hits_total', { service: '/budgeting' })).toBe(hits + 5);
    expect(await gateway.metric('gateway_lb_instance_load')).toBe(load);
    expect(upstream.requests).toHaveLength(await gateway.metric('gateway_cache_misses_total'));
  });

  it('keeps the responses of two callers apart, and those of one caller with two tokens together', async () => {
    await using upstream = await counting();
    await using gateway = await start(upstream);
    await get(gateway);
    await stored(gateway);
    expect(await (await get(gateway, '/budgeting/x', bob)).text()).not.toBe('answer 1');
    const again = await get(gateway, '/budgeting/x', tokenFor('ann'));
    expect(await again.text()).toBe('answer 1');
  });

  it.each(['ann:/budgeting/x', 'sub=ann', 'ann%3A', 'ann\n'])(
    'takes the subject %j for another caller than ann',
    async (subject) => {
      await using upstream = await counting();
      await using gateway = await start(upstream);
      await get(gateway);
      await stored(gateway);
      expect(await (await get(gateway, '/budgeting/x', tokenFor(subject))).text()).not.toBe('answer 1');
    },
  );

  it('takes another path, another query and another service for another question', async () => {
    await using upstream = await counting();
    await using gateway = await start(upstream);
    await get(gateway);
    await stored(gateway);
    for (const path of [
      '/budgeting/y',
      '/budgeting/x?',
      '/budgeting/x?a=1',
      '/budgeting//x',
      '/other/x',
      '/budgeting/X',
    ]) {
      expect(await (await get(gateway, path)).text()).not.toBe('answer 1');
    }
  });

  it.each([
    ['Cache-Control', 'no-store'],
    ['Cache-Control', 'private'],
    ['Cache-Control', 'no-cache'],
    ['Cache-Control', 'max-age=0'],
    ['Cache-Control', 'max-age=60, s-maxage=0'],
    ['Cache-Control', 'No-Store'],
    ['Pragma', 'no-cache'],
    ['Expires', '0'],
    ['Expires', 'Thu, 01 Jan 1970 00:00:00 GMT'],
    ['Vary', '*'],
    ['Vary', 'Accept, *'],
    ['Set-Cookie', 'a=b'],
    ['Content-Type', 'text/event-stream'],
  ])('does not keep a response with %s: %s', async (name, value) => {
    const upstream = await startUpstream((req, res) => {
      if (req.headers['x-forwarded-prefix'] === '/budgeting') res.setHeader(name, value);
      res.end('ok');
    });
    await using _ = upstream;
    await using gateway = await start(upstream);
    expect(await isCached(gateway)).toBe(false);
  });

  it.each([
    [206, { 'Cache-Control': 'max-age=60' }, false],
    ...[400, 403, 429, 500].flatMap((status): [number, Record<string, string>, boolean][] => [
      [status, { 'Cache-Control': 'max-age=60' }, true],
      [status, { 'Cache-Control': 'public' }, false],
      [status, {}, false],
    ]),
  ])('of a %d with %j, keeps it: %s', async (status, fields, isKept) => {
    await using upstream = await startUpstream((req, res) => {
      const own = req.headers['x-forwarded-prefix'] === '/budgeting';
      res.writeHead(own ? status : 200, fields).end();
    });
    await using gateway = await start(upstream);
    expect(await isCached(gateway)).toBe(isKept);
  });

  it.each([
    ['Cache-Control', 'no-store'],
    ['Cache-Control', 'no-cache'],
    ['Cache-Control', 'max-age=0'],
    ['Pragma', 'no-cache'],
    ['Range', 'bytes=0-1'],
  ])('asks the service when the client says %s: %s', async (name, value) => {
    await using upstream = await counting();
    await using gateway = await start(upstream);
    await get(gateway);
    await stored(gateway);
    const answer = await get(gateway, '/budgeting/x', ann, { [name]: value });
    expect(await answer.text()).not.toBe('answer 1');
  });

  it('keeps one response for each of the values that Vary names', async () => {
    await using upstream = await startUpstream((req, res) => {
      res.setHeader('Vary', 'Accept-Language').end(`in ${req.headers['accept-language']}`);
    });
    await using gateway = await start(upstream);
    await get(gateway, '/budgeting/x', ann, { 'Accept-Language': 'ro' });
    const english = await get(gateway, '/budgeting/x', ann, { 'Accept-Language': 'en' });
    expect(await english.text()).toBe('in en');
  });

  it.each(['POST', 'PUT', 'PATCH', 'DELETE', 'QUERY'])(
    'a %s that succeeds makes it forget',
    async (method) => {
      await using upstream = await counting();
      await using gateway = await start(upstream);
      for (const path of ['/budgeting/x', '/budgeting/x?page=2', '/budgeting/y']) {
        for (const token of [ann, bob]) await stored(gateway, path, token);
      }
      const answer = await fetch(`${gateway.external}/budgeting/x`, { method, headers: bearer(ann) });
      expect(answer.headers.get('Cache-Status')).toBe('gateway; fwd=method');
      for (const path of ['/budgeting/x', '/budgeting/x?page=2']) {
        for (const token of [ann, bob]) {
          expect((await get(gateway, path, token)).headers.get('Cache-Status')).toMatch(/fwd=uri-miss/);
        }
      }
      expect((await get(gateway, '/budgeting/y', bob)).headers.get('X-Cache')).toBe('HIT');
    },
  );

  it('learns from a HEAD that what it has is good still, or is not', async () => {
    const clock = new ManualClock();
    let version = '"1"';
    await using upstream = await startUpstream((_req, res) => {
      res.writeHead(200, { 'Cache-Control': 'max-age=10', ETag: version }).end(`answer ${version}`);
    });
    await using gateway = await start(upstream, { clock });
    const head = () =>
      fetch(`${gateway.external}/budgeting/x`, {
        method: 'HEAD',
        headers: { ...bearer(ann), 'Cache-Control': 'no-cache' },
      });
    const isHit = async () => (await get(gateway)).headers.get('X-Cache') === 'HIT';
    await get(gateway);
    await stored(gateway);
    clock.advance(15_000);
    expect((await head()).headers.get('X-Cache')).toBe('MISS');
    await eventually('the GET is fresh again', async () => {
      const answer = await get(gateway, '/budgeting/x', ann, { 'Cache-Control': 'only-if-cached' });
      return answer.status === 200 && (await answer.text()) === 'answer "1"';
    });
    expect(upstream.requests.map(({ method }) => method)).toEqual(['GET', 'HEAD']);
    version = '"2"';
    await head();
    await eventually('the GET is stale', async () => !(await isHit()));
    expect(await (await get(gateway)).text()).toBe('answer "2"');
  });

  it('does not cache on the internal port', async () => {
    await using upstream = await counting();
    await using gateway = await start(upstream);
    for (const expected of ['answer 1', 'answer 2']) {
      const answer = await fetch(`${gateway.internal}/internal/budgeting/x`);
      expect(await answer.text()).toBe(expected);
      expect(answer.headers.get('X-Cache')).toBeNull();
    }
  });

  it.each([
    ['off', { 'Cache-Control': 'max-age=60' }, false],
    ['0', {}, false],
    ['0', { 'Cache-Control': 'max-age=60' }, true],
    ['0', { 'Cache-Control': 'public' }, false],
  ])('with GET_CACHE_TTL=%s, of a response with %j, keeps it: %s', async (ttl, fields, isKept) => {
    await using upstream = await counting(fields);
    await using gateway = await start(upstream, { env: { GET_CACHE_TTL: ttl } });
    const answers = [await get(gateway), await get(gateway)];
    expect(await Promise.all(answers.map((answer) => answer.text()))).toEqual([
      'answer 1',
      isKept ? 'answer 1' : 'answer 2',
    ]);
  });

  it('does not keep a response that is cut short', async () => {
    const short = 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\nCache-Control: max-age=60\r\n\r\nshort';
    await using cut = await startRawUpstream(saysAndResets(short));
    await using other = await counting();
    await using gateway = await startGateway({ services: { '/budgeting': [cut], '/other': [other] }, store });
    for (let n = 0; n < 2; n += 1) {
      const answer = await sendRaw(
        gateway.external,
        request('GET /budgeting/x', `Authorization: Bearer ${ann}`),
      );
      expect(answer).toMatchObject({ whole: false });
      expect(answer.field('X-Cache')).toBe('MISS');
      await (await get(gateway, '/other/x')).text();
      await stored(gateway, '/other/x');
    }
  });

  it('does not keep a response whose client left half-way', async () => {
    await using endless = await startRawUpstream(
      says('HTTP/1.1 200 OK\r\nContent-Length: 100\r\nCache-Control: max-age=60\r\n\r\nbegun'),
    );
    await using gateway = await start(endless);
    for (let n = 0; n < 2; n += 1) {
      using client = await RawClient.to(gateway.external);
      client.send(request('GET /budgeting/x', `Authorization: Bearer ${ann}`));
      expect((await client.head()).field('X-Cache')).toBe('MISS');
    }
  });

  it('passes on what is too large to keep', async () => {
    const large = 'x'.repeat(200_000);
    await using upstream = await startUpstream((req, res) => {
      res.end(req.headers['x-forwarded-prefix'] === '/budgeting' ? large : 'small');
    });
    await using gateway = await start(upstream, { env: { CACHE_MAX_ENTRY_BYTES: '100KiB' } });
    expect(await (await get(gateway)).text()).toBe(large);
    expect(await isCached(gateway)).toBe(false);
  });

  it('keeps bytes as they are', async () => {
    const bytes = gzipSync('compressed');
    await using upstream = await startUpstream((_req, res) =>
      res.writeHead(200, { 'Content-Encoding': 'gzip', 'Content-Type': 'text/plain' }).end(bytes),
    );
    await using gateway = await start(upstream);
    await get(gateway);
    await stored(gateway);
    expect(await (await get(gateway)).text()).toBe('compressed');
  });

  it('asks the service when the store fails, and counts it', async () => {
    await using upstream = await counting();
    await using gateway = await start(upstream, { env: { AUTH_STORE_FAILURE: 'allow' } });
    await gateway.gateway.parts.stores.close();
    if (store === 'embedded') {
      const broken = () => Promise.reject(new Error('the store is broken'));
      Object.assign(gateway.gateway.parts.stores.responses, { get: broken, getAll: broken });
    }
    for (const expected of ['answer 1', 'answer 2']) {
      const answer = await get(gateway);
      expect(answer.status).toBe(200);
      expect(await answer.text()).toBe(expected);
    }
    const errors = await gateway.metric('gateway_cache_errors_total', { service: '/budgeting' });
    expect(errors).toBeGreaterThanOrEqual(2);
  });
});

describe('how long a response is kept', () => {
  it.each([
    [{}, 30],
    [{ 'Cache-Control': 'max-age=5' }, 5],
    [{ 'Cache-Control': 'max-age=5, s-maxage=90' }, 90],
    [{ 'Cache-Control': 'max-age=60', 'CDN-Cache-Control': 'max-age=7' }, 7],
    [{ 'Cache-Control': 'no-store', 'CDN-Cache-Control': 'max-age=7' }, 7],
    [{ 'Cache-Control': 'max-age=60', Age: '50' }, 10],
  ])('with %j: %d seconds', async (fields, seconds) => {
    const clock = new ManualClock();
    await using upstream = await counting({ ...fields });
    await using gateway = await startGateway({ services: { '/budgeting': [upstream] }, clock });
    await get(gateway);
    clock.advance(seconds * 1000 - 100);
    const hit = await get(gateway);
    expect(await hit.text()).toBe('answer 1');
    expect(hit.headers.get('X-Cache')).toBe('HIT');
    clock.advance(100);
    expect(await (await get(gateway)).text()).toBe('answer 2');
  });

  it('grows old as the client can see', async () => {
    const clock = new ManualClock();
    await using upstream = await counting({ 'Cache-Control': 'max-age=60' });
    await using gateway = await startGateway({ services: { '/budgeting': [upstream] }, clock });
    await get(gateway);
    clock.advance(42_000);
    const hit = await get(gateway);
    expect(hit.headers.get('Age')).toBe('42');
    expect(hit.headers.get('Cache-Status')).toBe('gateway; hit; ttl=18');
  });

  it('is per service with cacheTtl', async () => {
    const clock = new ManualClock();
    await using upstream = await counting();
    await using gateway = await startGateway({
      services: { '/budgeting': { upstreams: [upstream], cacheTtl: '2s' } },
      clock,
    });
    await get(gateway);
    clock.advance(1_999);
    expect(await (await get(gateway)).text()).toBe('answer 1');
    clock.advance(1);
    expect(await (await get(gateway)).text()).toBe('answer 2');
  });

  it('is what Redis is told', async () => {
    await emptyTestRedis();
    await using upstream = await counting({ 'Cache-Control': 'max-age=77' });
    await using gateway = await startGateway({ services: { '/budgeting': [upstream] }, store: 'redis' });
    await get(gateway);
    await stored(gateway);
    const redis = await createClient({ url: redisTestUrl() }).connect();
    const keys = await redis.keys('cache:entry:*');
    expect(keys).toEqual([
      expect.stringMatching(/^cache:entry:\["\/budgeting","\/budgeting\/x","identity .*ann.*",.*""\]$/),
    ]);
    const leftMs = Number(await redis.pTTL(keys[0] ?? ''));
    await redis.close();
    // Its lifetime and CACHE_STALE_IF_ERROR.
    expect(leftMs).toBeGreaterThan(130_000);
    expect(leftMs).toBeLessThanOrEqual(137_000);
  });
});

describe('every response of the external port says what the cache did', () => {
  const said = async (gateway: TestGateway, path: string, init: RequestInit = {}) => {
    const answer = await fetch(`${gateway.external}${path}`, init);
    await answer.text();
    return answer.headers.get('Cache-Status');
  };

  it.each([
    { name: 'no token', path: '/budgeting/x', headers: {}, status: 'gateway; detail=token_missing' },
    { name: 'no service', path: '/nowhere', status: 'gateway; detail=no_such_service' },
    { name: 'a miss', path: '/budgeting/x', status: 'gateway; fwd=uri-miss; stored' },
    { name: 'an error of the service', path: '/budgeting/broken', status: 'gateway; fwd=uri-miss' },
    { name: 'a service that is not there', path: '/gone/x', status: 'gateway; fwd=uri-miss' },
    { name: 'POST', path: '/budgeting/x', method: 'POST', status: 'gateway; fwd=method' },
    { name: 'a cache that is off', path: '/uncached/x', status: 'gateway; fwd=bypass' },
    {
      name: 'only-if-cached',
      path: '/budgeting/y',
      headers: { ...bearer(ann), 'Cache-Control': 'only-if-cached' },
      status: 'gateway; detail=not_cached',
    },
  ])('$name', async ({ path, status, name: _name, ...init }) => {
    await using upstream = await startUpstream((req, res) => {
      res.writeHead(req.url === '/broken' ? 500 : 200, { 'Content-Length': 2 }).end('ok');
    });
    await using gateway = await startGateway({
      services: {
        '/budgeting': [upstream],
        '/gone': [refusedUrl()],
        '/uncached': { upstreams: [upstream], cacheTtl: 'off' },
      },
    });
    expect(await said(gateway, path, { headers: bearer(ann), ...init })).toBe(status);
  });

  it('adds itself to what caches behind it said', async () => {
    await using upstream = await counting({ 'Cache-Status': 'inner; hit', 'Content-Length': '8' });
    await using gateway = await startGateway({ services: { '/budgeting': [upstream] } });
    expect(await said(gateway, '/budgeting/x', { headers: bearer(ann) })).toBe(
      'inner; hit, gateway; fwd=uri-miss; stored',
    );
    expect(await said(gateway, '/budgeting/x', { headers: bearer(ann) })).toMatch(/^gateway; hit; ttl=\d+$/);
  });

  it('a deadline that passes while what the client has already is awaited whole', async () => {
    const clock = new ManualClock();
    await using upstream = await startUpstream((_req, res) => {
      res.writeHead(200, { ETag: '"a"', 'Content-Length': 8 }).write('half');
    });
    await using gateway = await startGateway({ services: { '/budgeting': [upstream] }, clock });
    const headers = { ...bearer(ann), 'If-None-Match': '"a"' };
    // fetch would add no-cache.
    const answer = call(`${gateway.external}/budgeting/x`, { headers });
    const misses = () => gateway.metric('gateway_cache_misses_total', { service: '/budgeting' });
    await eventually('the head is there', async () => (await misses()) === 1);
    clock.advance(60_000);
    const { status, headers: said } = await answer;
    expect([status, said['cache-status']]).toEqual([504, 'gateway; detail=request_timeout']);
  });

  it.each([
    ['a POST', { method: 'POST' }, 'BYPASS', 'gateway; fwd=method'],
    ['no-store', { headers: { 'Cache-Control': 'no-store' } }, 'BYPASS', 'gateway; fwd=bypass'],
    ['a HEAD', { method: 'HEAD' }, 'MISS', 'gateway; fwd=uri-miss'],
    ['a miss', {}, 'MISS', 'gateway; fwd=uri-miss; stored'],
  ])('once, whatever the service says itself: %s', async (_what, init: RequestInit, xCache, status) => {
    await using upstream = await counting({
      'X-cache': 'HIT',
      'cache-status': 'inner; hit',
      'X-Request-Id': 'theirs',
      'Content-Length': '8',
    });
    await using gateway = await startGateway({ services: { '/budgeting': [upstream] } });
    const headers = { ...bearer(ann), ...(init.headers as Record<string, string>) };
    const answer = await fetch(`${gateway.external}/budgeting/x`, { ...init, headers });
    await answer.text();
    expect(answer.headers.get('X-Cache')).toBe(xCache);
    expect(answer.headers.get('Cache-Status')).toBe(`inner; hit, ${status}`);
    expect(answer.headers.get('X-Request-Id')).toMatch(/^[0-9a-f-]{36}$/);
  });
});

it('refuses with a problem what only a cache may answer', async () => {
  await using upstream = await counting();
  await using gateway = await startGateway({ services: { '/budgeting': [upstream] } });
  await expectProblem(
    await get(gateway, '/budgeting/x', ann, { 'Cache-Control': 'only-if-cached' }),
    'not_cached',
  );
  expect(upstream.requests).toHaveLength(0);
});

describe('a response that says it is for everyone', () => {
  const PUBLIC = { 'Cache-Control': 'public, max-age=60' };

  it('goes to everyone, unless the service is set not to share', async () => {
    await using upstream = await counting(PUBLIC);
    await using gateway = await startGateway({
      services: { '/budgeting': [upstream], '/private': { upstreams: [upstream], cacheShared: false } },
    });
    for (const [path, expected] of [
      ['/budgeting/x', 'HIT'],
      ['/private/x', 'MISS'],
    ] as const) {
      await stored(gateway, path, ann);
      expect((await get(gateway, path, bob)).headers.get('X-Cache')).toBe(expected);
    }
  });

  it('is not found under a name that somebody else has made up', async () => {
    await using upstream = await startUpstream((req, res) => {
      res.writeHead(200, PUBLIC).end(`https://${req.headers['x-forwarded-host']}/next`);
    });
    await using gateway = await startGateway({ services: { '/budgeting': [upstream] } });
    const evil = request('GET /budgeting/x', `Authorization: Bearer ${ann}`).replace(
      'gateway.test',
      'evil.test',
    );
    expect((await sendRaw(gateway.external, evil)).body).toContain('evil.test');
    const honest = await sendRaw(
      gateway.external,
      request('GET /budgeting/x', `Authorization: Bearer ${bob}`),
    );
    expect(honest.body).toContain('https://gateway.test/next');
  });

  it('and depends on what the gateway tells of the caller is not shared', async () => {
    await using upstream = await startUpstream((req, res) => {
      res.writeHead(200, { ...PUBLIC, Vary: 'X-Auth-Claims' }).end(String(req.headers['x-auth-claims']));
    });
    await using gateway = await startGateway({ services: { '/budgeting': [upstream] } });
    const tokens = [tokenFor('ann', { role: 'user' }), tokenFor('ann', { role: 'admin' })];
    const roles: string[] = [];
    for (const token of [...tokens, ...tokens]) {
      const claims = Buffer.from(await (await get(gateway, '/budgeting/x', token)).text(), 'base64url');
      roles.push(JSON.parse(claims.toString()).role);
    }
    expect(roles).toEqual(['user', 'admin', 'user', 'admin']);
    expect(upstream.requests).toHaveLength(2);
  });
});

describe.each(STORES)('when a service fails, with the %s store', (store) => {
  beforeEach(emptyTestRedis);

  it('a stored response stands in, with the breaker open too, for as long as CACHE_STALE_IF_ERROR says', async () => {
    // Redis has a clock of its own: only the gateway's is moved.
    const clock = new ManualClock();
    const service = { isBroken: false };
    await using upstream = await startUpstream((_req, res) => {
      res
        .writeHead(service.isBroken ? 500 : 200, { 'Content-Length': 4 })
        .end(service.isBroken ? 'oops' : 'good');
    });
    await using gateway = await startGateway({
      services: { '/budgeting': [upstream] },
      store,
      clock,
      env: { CACHE_STALE_IF_ERROR: '60s', CIRCUIT_BREAKER_COOLDOWN: '10m', GET_CACHE_TTL: '30s' },
    });
    await stored(gateway);
    service.isBroken = true;
    clock.advance(40_000);
    for (let n = 0; n < 6; n += 1) {
      const answer = await get(gateway);
      expect([answer.status, await answer.text(), answer.headers.get('X-Cache')]).toEqual([
        200,
        'good',
        'HIT',
      ]);
      expect(answer.headers.get('Cache-Status')).toMatch(/^gateway; fwd=stale;.* detail=stale-if-error$/);
    }
    expect(upstream.requests).toHaveLength(4);
    expect(await gateway.metric('gateway_circuit_breaker_state', { service: '/budgeting' })).toBe(1);
    await expectProblem(await get(gateway, '/budgeting/never-seen'), 'circuit_open', { retryAfter: 600 });
    clock.advance(50_000);
    await expectProblem(await get(gateway), 'circuit_open', { retryAfter: 550 });
  });
});

describe.each(STORES)('what the %s store holds', (store) => {
  beforeEach(emptyTestRedis);

  it('is on the metrics page, and has a bound', async () => {
    const body = 'x'.repeat(2_000);
    await using upstream = await startUpstream((_req, res) => void res.end(body));
    await using gateway = await startGateway({
      services: { '/budgeting': [upstream] },
      store,
      env: { CACHE_MAX_BYTES: '100KiB', CACHE_MAX_ENTRY_BYTES: '50KiB' },
    });
    const held = (name: string) => gateway.metric(`gateway_cache_${name}`, { tier: 'store' });
    await stored(gateway);
    expect(await held('bytes')).toBeGreaterThan(2_000);
    expect(await held('entries')).toBeGreaterThan(0);
    for (let n = 0; n < 200; n += 1) await (await get(gateway, `/budgeting/${n}`)).text();
    expect(await held('bytes')).toBeGreaterThan(50_000);
    expect(await held('bytes')).toBeLessThanOrEqual(102_400);
  });
});

it('counts what a full cache did not take in', async () => {
  await using upstream = await startUpstream((_req, res) => void res.end('x'.repeat(2_000)));
  await using gateway = await startGateway({
    services: { '/budgeting': [upstream] },
    env: { CACHE_MAX_BYTES: '32KiB', CACHE_MAX_ENTRY_BYTES: '16KiB' },
  });
  let passedOn = 0;
  for (let n = 0; n < 1_000; n += 1) {
    const answer = await get(gateway, `/budgeting/${n}`);
    if (!answer.headers.get('Cache-Status')?.includes('stored')) passedOn += 1;
    await answer.text();
  }
  expect(passedOn).toBeGreaterThan(100);
  expect(await gateway.metric('gateway_cache_declined_total', { service: '/budgeting' })).toBe(passedOn);
});

it('shares responses between gateways on one Redis', async () => {
  await emptyTestRedis();
  await using upstream = await counting();
  const options = { services: { '/budgeting': [upstream] }, store: 'redis' } as const;
  await using one = await startGateway(options);
  await using two = await startGateway(options);
  const ask = async ({ external }: TestGateway, Host: string) =>
    (await call(`${external}/budgeting/x`, { headers: { Host, ...bearer(ann) } })).headers['x-cache'];
  await ask(one, 'gateway.test');
  await eventually('it is stored', async () => (await ask(one, 'gateway.test')) === 'HIT');
  expect(await ask(two, 'gateway.test')).toBe('HIT');
  expect(upstream.requests).toHaveLength(1);
});
