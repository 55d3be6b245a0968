import { describe, expect, it } from '@jest/globals';
import { settingsWarnings } from '../../../config/report/warnings.ts';
import type { Service } from '../../../config/sections/services.ts';
import { JWT_SECRET, load, problemsOf } from '../../support/gateway/settings.ts';

const ENV = {
  GET_CACHE_TTL: '20s',
  CIRCUIT_BREAKER_THRESHOLD: '4',
  CIRCUIT_BREAKER_RATIO: '0.2',
  CIRCUIT_BREAKER_COOLDOWN: '9s',
};

const BREAKER = { threshold: 4, ratio: 0.2, windowMs: 10_500, cooldownMs: 9000 };

interface Levels {
  readonly defaults?: string;
  readonly service?: string;
  readonly route?: string;
}

function textOf({ defaults = '', service = '', route = '' }: Levels): string {
  const routes = `routes: [{ match: { path: /x }${route && `, ${route}`} }]`;
  return `defaults: { ${defaults} }
services: [{ name: a, path: /a, upstreams: [http://a], ${service && `${service}, `}${routes} }]`;
}

function serviceOf(levels: Levels, env: NodeJS.ProcessEnv = ENV): Service {
  return load(env, { 'gateway.yaml': textOf(levels) }).services[0] as Service;
}

/** What holds for the service, and what for its route. */
function heldBy(levels: Levels, env?: NodeJS.ProcessEnv) {
  const service = serviceOf(levels, env);
  const [route] = service.routes;
  return { service, route: route?.settings, spelling: route?.spelling, permits: route?.permits };
}

describe('limits', () => {
  it('of a route are its own where it says them itself, and else its service has them', () => {
    const service = 'limits: { concurrency: 8, streams: 6 }';
    expect(heldBy({ service }).permits).toEqual({});
    expect(heldBy({ service, route: 'limits: { body: 1KiB }' }).permits).toEqual({});
    const own = heldBy({ service, route: 'limits: { streams: 0 }' });
    expect(own.permits).toEqual({ streams: 0 });
    expect([own.service.streams, own.route?.streams, own.route?.concurrency]).toEqual([6, 0, 8]);
    expect(heldBy({ service, route: 'limits: { concurrency: 8 }' }).permits).toEqual({ concurrency: 8 });
  });

  it.each([
    ['concurrency: 7', 'any'],
    ['concurrency: 8', 'exact'],
    ['concurrency: 9', 'exact'],
    ['streams: 5', 'any'],
    ['streams: 7', 'exact'],
  ])('{ %s } is for %s spelling', (limit, spelling) => {
    const levels = { service: 'limits: { concurrency: 8, streams: 6 }', route: `limits: { ${limit} }` };
    expect(heldBy(levels).spelling).toBe(spelling);
  });

  it.each([
    ['concurrency: 0', 'concurrency is 0: expected a whole number from 1 to 1000000'],
    ['streams: -1', 'streams is -1: expected a whole number from 0 to 1000000'],
  ])('{ %s } of a route is refused', (limit, problem) => {
    const problems = problemsOf(ENV, { 'gateway.yaml': textOf({ route: `limits: { ${limit} }` }) });
    expect(problems).toEqual([expect.stringContaining(`services[0].routes[0].limits.${problem}`)]);
  });
});

describe('cache', () => {
  it.each([
    [{}, 20_000, true, 20_000, true],
    [{ defaults: 'cache: explicit' }, 0, true, 0, true],
    [{ service: 'cache: explicit' }, 0, true, 0, true],
    [{ service: 'cache: { ttl: 5s }', route: 'cache: explicit' }, 5000, true, 0, true],
    [{ service: 'cache: explicit', route: 'cache: { ttl: 5s }' }, 0, true, 5000, true],
    [{ service: 'cache: explicit', route: 'cache: off' }, 0, true, 'off', true],
    // Who says only that keeps what is said further out of who may share.
    [{ defaults: 'cache: { shared: false }', service: 'cache: explicit' }, 0, false, 0, false],
    [{ service: 'cache: { ttl: explicit, shared: false }' }, 0, false, 0, false],
    [{ service: 'cache: off', route: 'cache: explicit' }, 'off', true, 0, true],
  ])('of %j', (levels, ttl, shared, routeTtl, routeShared) => {
    const { service, route } = heldBy(levels);
    expect([service.cacheTtlMs, service.cacheShared]).toEqual([ttl, shared]);
    expect([route?.cacheTtlMs, route?.cacheShared]).toEqual([routeTtl, routeShared]);
  });

  it('is explicit for the whole gateway by GET_CACHE_TTL=explicit, which is 0', () => {
    for (const ttl of ['explicit', '0']) {
      expect(heldBy({}, { GET_CACHE_TTL: ttl }).service.cacheTtlMs).toBe(0);
    }
  });

  it.each([
    ['cache: explicit', 'any'],
    ['cache: { ttl: 19s }', 'any'],
    ['cache: { ttl: 21s }', 'exact'],
    ['cache: { shared: false }', 'any'],
  ])('{ %s } of a route is for %s spelling', (route, spelling) => {
    expect(heldBy({ route }).spelling).toBe(spelling);
  });
});

describe('retry', () => {
  it.each([
    [{}, true, true, true, true],
    [{ defaults: 'retry: off' }, false, false, false, false],
    [{ service: 'retry: false' }, false, false, false, false],
    [{ service: 'retry: { hedge: off }' }, true, false, true, false],
    [{ route: 'retry: off' }, true, true, false, false],
    [{ route: 'retry: { hedge: false }' }, true, true, true, false],
    [{ service: 'retry: off', route: 'retry: true' }, false, false, true, true],
    [{ service: 'retry: off', route: 'retry: { hedge: off }' }, false, false, true, false],
    [{ defaults: 'retry: { hedge: off }', service: 'retry: {}' }, true, false, true, false],
  ])('of %j', (levels, retries, hedges, routeRetries, routeHedges) => {
    const { service, route } = heldBy(levels);
    expect([service.retries, service.hedges]).toEqual([retries, hedges]);
    expect([route?.retries, route?.hedges]).toEqual([routeRetries, routeHedges]);
  });

  it.each([
    ['retry: off', 'any'],
    ['retry: { hedge: off }', 'any'],
    ['retry: true', 'exact'],
  ])('{ %s } of a route is for %s spelling', (route, spelling) => {
    expect(heldBy({ route }).spelling).toBe(spelling);
  });

  it.each([
    ['retry: 2', 'retry is 2: expected off, true, false or an object'],
    ['retry: { attempts: 2 }', 'retry.attempts is not known: expected one of hedge'],
    ['retry: { hedge: always }', 'retry.hedge is "always": expected off, true or false'],
  ])('%s is refused', (service, problem) => {
    const problems = problemsOf(ENV, { 'gateway.yaml': textOf({ service }) });
    expect(problems).toEqual([expect.stringContaining(`services[0].${problem}`)]);
  });
});

describe('breaker', () => {
  it.each([
    [{}, BREAKER],
    [{ service: 'breaker: {}' }, BREAKER],
    [{ service: 'breaker: { threshold: 9 }' }, { ...BREAKER, threshold: 9 }],
    [
      { defaults: 'breaker: { ratio: 0, window: 1m }', service: 'breaker: { cooldown: 1s, window: 2m }' },
      { threshold: 4, ratio: 0, windowMs: 120_000, cooldownMs: 1000 },
    ],
    [{ defaults: 'breaker: { ratio: 0 }', service: 'breaker: true' }, BREAKER],
    [
      { defaults: 'breaker: off', service: 'breaker: { ratio: 1 }' },
      { ...BREAKER, ratio: 1 },
    ],
    [{ defaults: 'breaker: { ratio: 1 }', service: 'breaker: off' }, undefined],
    // Three timeouts one after another are to count together, however long they are.
    [{ service: 'timeouts: { request: 1m }' }, { ...BREAKER, windowMs: 210_000 }],
  ])('of %j', (levels, breaker) => {
    const { service, route } = heldBy(levels);
    expect(service.breaker).toEqual(breaker);
    expect(route?.breaker).toEqual(breaker);
  });

  it('of a route is that of its service, or off', () => {
    const { service, route, spelling } = heldBy({
      service: 'breaker: { threshold: 9 }',
      route: 'breaker: off',
    });
    expect([service.breaker?.threshold, route?.breaker, spelling]).toEqual([9, undefined, 'exact']);
  });

  it('has the window of the variable where that is set', () => {
    const levels = { service: 'timeouts: { request: 1m }' };
    expect(heldBy(levels, { CIRCUIT_BREAKER_WINDOW: '7s' }).service.breaker?.windowMs).toBe(7000);
  });

  it.each([
    ['{ threshold: 0 }', '.threshold is 0: expected a whole number from 1 to 1000000'],
    ['{ ratio: 1.1 }', '.ratio is 1.1: expected a number from 0 to 1'],
    ['{ window: 0s }', '.window is "0s": expected a duration such as 500ms, 3s or 1m30s (from 1ms to 24d)'],
    ['{ cooldwn: 1s }', '.cooldwn is not known: did you mean cooldown?'],
    ['3', ' is 3: expected off, true, false or an object'],
  ])('%s is refused', (breaker, problem) => {
    const problems = problemsOf(ENV, { 'gateway.yaml': textOf({ service: `breaker: ${breaker}` }) });
    expect(problems).toEqual([expect.stringContaining(`services[0].breaker${problem}`)]);
  });

  it.each(['{ threshold: 9 }', 'true', '{}'])('%s of a route is refused, with the way out', (breaker) => {
    const problems = problemsOf(ENV, { 'gateway.yaml': textOf({ route: `breaker: ${breaker}` }) });
    expect(problems).toEqual([
      expect.stringMatching(
        /^gateway\.yaml:2:\d+: services\[0\]\.routes\[0\]\.breaker is .*: expected off: a replica has one breaker for all routes, so its service says the rest$/,
      ),
    ]);
  });
});

describe('what a file says and does nothing is a warning', () => {
  const warningsOf = (levels: Levels, env: NodeJS.ProcessEnv = {}, match = '{ path: /x }') => {
    const text = textOf(levels).replace('{ path: /x }', match);
    const all = { JWT_SECRET, ...env };
    const settings = load(all, { 'gateway.yaml': text });
    return settingsWarnings({ env: all, dotenv: {}, settings }).filter(
      (warning) => !warning.startsWith('AUTH_'),
    );
  };
  const POST = '{ path: /x, methods: [POST] }';

  it.each<[Levels, NodeJS.ProcessEnv, string | undefined, string]>([
    [
      { route: 'limits: { concurrency: 101 }' },
      {},
      undefined,
      'GLOBAL_CONCURRENCY is 100, below the limit of single services or routes (/a/x), which they cannot reach',
    ],
    [
      { service: 'limits: { streams: 9 }', route: 'limits: { streams: 8 }' },
      { MAX_STREAMS: '7' },
      undefined,
      'MAX_STREAMS is 7, below the streams of single services or routes (/a, /a/x), which they cannot reach',
    ],
    [
      { service: 'breaker: { window: 2s }' },
      {},
      undefined,
      'The breaker window of /a is 2s and a request may take 3s: requests that run out of time one after another never open a breaker',
    ],
    [
      { route: 'cache: { ttl: 1s }' },
      {},
      POST,
      'The route POST /a/x has a cache that does nothing: only responses to GET are kept',
    ],
    [
      { route: 'retry: { hedge: off }' },
      {},
      POST,
      'The route POST /a/x has retry.hedge, which does nothing: only GET and HEAD are sent to a second replica',
    ],
    [
      { route: 'auth: { sources: [bearer, apiKey] }' },
      {},
      undefined,
      'ADMIN_TOKEN is not set, so no API key can be made here for /a/x, which take some',
    ],
    [
      { defaults: 'breaker: off' },
      { CIRCUIT_BREAKER_RATIO: '0.1' },
      undefined,
      'CIRCUIT_BREAKER_RATIO is set and does nothing: no service has breakers',
    ],
    [
      { defaults: 'breaker: { ratio: 0 }' },
      { CIRCUIT_BREAKER_RATIO: '0.1', CIRCUIT_BREAKER_COOLDOWN: '1s' },
      undefined,
      'CIRCUIT_BREAKER_RATIO is set and does nothing: the defaults of gateway.yaml take its place',
    ],
  ])('%j', (levels, env, match, warning) => {
    expect(warningsOf(levels, env, match)).toEqual([warning]);
  });

  it.each<[Levels, string | undefined]>([
    [{ route: 'cache: off, retry: off' }, POST],
    [{ defaults: 'cache: { ttl: 9s }, retry: { hedge: off }' }, POST],
    [{ route: 'cache: { ttl: 1s }' }, '{ path: /x, methods: [POST, GET] }'],
    [{ service: 'breaker: { window: 1s, threshold: 1 }' }, undefined],
    [{ defaults: 'breaker: true', route: 'limits: { concurrency: 100, streams: 1000 }' }, undefined],
  ])('%j has a use', (levels, match) => {
    expect(warningsOf(levels, { CIRCUIT_BREAKER_RATIO: '0.1' }, match)).toEqual([]);
  });
});

describe('limits.rate', () => {
  const rate = (text: string) => `limits: { rate: ${text} }`;
  const PLANS =
    '{ per: identity, by: "claim:plan", limits: { free: 10/1m, pro: { limit: 100/1m, burst: 20 }, default: 5/1m } }';

  it('of all levels hold, each with a name and the place where it counts', () => {
    const held = heldBy(
      {
        defaults: rate('{ per: identity, limit: 9/1m }'),
        service: rate('[{ per: service, limit: 8/1m }, { per: service, limit: 80/1h }]'),
        route: rate('{ per: address, limit: 7/1s, burst: 2 }'),
      },
      { ...ENV, RATE_LIMIT_PER_IDENTITY: '5/1m' },
    );
    expect(held.route?.rates.map(({ name, at, rate: { requests } }) => [name, at.place, requests])).toEqual([
      ['identity', '', 5],
      ['defaults-identity', '', 9],
      ['service-service', '/a', 8],
      ['service-service-2', '/a', 80],
      ['route-address', '/a/x', 7],
    ]);
    expect(held.route?.rates.at(-1)?.rate).toEqual({ requests: 7, windowMs: 1_000, burst: 2 });
    expect(held.service.rates).toHaveLength(4);
    expect(held.spelling).toBe('any');
  });

  it('may be chosen by a claim, and has a default beside it', () => {
    const { service } = heldBy({ service: rate(PLANS) });
    expect(service.rates[0]).toMatchObject({
      by: { claim: 'plan' },
      rate: { requests: 5, windowMs: 60_000, burst: 5 },
      rates: [
        ['free', { requests: 10, windowMs: 60_000, burst: 10 }],
        ['pro', { requests: 100, windowMs: 60_000, burst: 20 }],
      ],
    });
  });

  it.each([
    ['off', 'nothing can be switched off'],
    ['[]', 'a rate such as { per: identity, limit: 100/1m }'],
    ['{ per: identity }', 'either limit, or by and limits'],
    ['{ per: user, limit: 1/1m }', 'identity, address, route or service'],
    ['{ per: identity, limit: 1/1m, burst: 0 }', 'a whole number from 1 to'],
    ['{ per: identity, limit: 1/1.5s }', 'requests in whole seconds'],
    ['{ per: identity, limits: { default: 1/1m } }', 'by and limits together'],
    ['{ per: identity, by: plan, limits: { default: 1/1m } }', 'claim: and the name or path of a claim'],
    ['{ per: identity, by: scope, limits: { a: 1/1m } }', 'a rate for whoever has none of the other values'],
    ['{ per: address, by: scope, limits: { default: 1/1m } }', 'identity, since a token chooses the limit'],
  ])('%s is refused', (text, message) => {
    expect(problemsOf(ENV, { 'gateway.yaml': textOf({ service: rate(text) }) }).join()).toContain(message);
  });
});
