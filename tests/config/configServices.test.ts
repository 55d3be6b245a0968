import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { loadSettings } from '../../config/config.ts';
import { clashes } from '../../config/file/services.ts';
import { BUILT_IN_SERVICES, type Service } from '../../config/sections/services.ts';
import { load, problemsOf as settingsProblemsOf } from '../support/gateway/settings.ts';

/** With one, services need no upstreams of their own. */
const REGISTRY = { SERVICE_DISCOVERY_URL: 'http://service-discovery:9000' };

/** The services of a gateway whose gateway.json holds this text or value. */
function servicesOf(content: unknown, env: NodeJS.ProcessEnv = {}): readonly Service[] {
  return load({ ...REGISTRY, GATEWAY_FILE: 'gateway.json', ...env }, { 'gateway.json': textOf(content) })
    .services;
}

/** Without the places: all of them are in the file's one line. */
function problemsOf(content: unknown): readonly string[] {
  const problems = settingsProblemsOf(
    { ...REGISTRY, GATEWAY_FILE: 'gateway.json' },
    { 'gateway.json': textOf(content) },
  );
  return problems.map((problem) => problem.replace(/^gateway\.json:\d+:\d+:/, 'gateway.json:'));
}

function textOf(content: unknown): string {
  return typeof content === 'string' ? content : JSON.stringify(content);
}

/** As the variables have it by default, for a service that has three seconds. */
const BREAKER = { threshold: 3, ratio: 0.5, windowMs: 10_500, cooldownMs: 30_000 };

describe('the built-in services', () => {
  const { services } = load({ PER_SERVICE_LIMIT: '7', GET_CACHE_TTL: 'off' });

  test('are the ten of FAF CAB', () => {
    expect(services.map(({ path, upstreams }) => `${path} ${upstreams}`)).toEqual([
      '/userManagement http://user-management:8080',
      '/notification http://notification-service:8081',
      '/teaManagement http://tm-service:8082',
      '/communication http://c-service:8083',
      '/booking http://cab-booking-service:8084',
      '/checkin http://checkin-service:8085',
      '/lostFound http://lost-found-service:8086',
      '/budgeting http://budgeting-service:8087',
      '/fundRaising http://fr-service:8088',
      '/sharing http://s-service:8089',
    ]);
  });

  test('take the defaults of the gateway', () => {
    expect(services[4]).toMatchObject({
      name: 'cab-booking',
      path: '/booking',
      upstreams: ['http://cab-booking-service:8084'],
      aliases: ['cab-booking-service', 'booking'],
      stripPrefix: true,
      concurrency: 7,
      streams: 100,
      requestTimeoutMs: 3000,
      idleTimeoutMs: 10_000,
      maxBodyBytes: 0,
      cacheTtlMs: 'off',
      cacheShared: true,
      breaker: BREAKER,
      retries: true,
      hedges: true,
      basePath: '',
      publicPaths: false,
      auth: { need: 'required' },
      host: 'client',
      routes: [],
    });
  });

  test('keep their names apart', () => {
    expect(clashes(BUILT_IN_SERVICES)).toEqual([]);
  });

  test('have the names that docs/services.md lists, and the static upstream in bold', () => {
    const page = readFileSync(join(import.meta.dirname, '../../docs/services.md'), 'utf8');
    const listed = page.split('| service | names |')[1]?.matchAll(/^\| `([^`]+)` \| (.*) \|$/gm) ?? [];
    const rows = Array.from(listed, ([, path, cell = '']) => {
      const host = /\*\*`([^`]+)`/.exec(cell)?.[1];
      return { path, host, names: Array.from(cell.matchAll(/`([^`]+)`/g), ([, name]) => name) };
    });
    const known = services.map(({ name, path, aliases, upstreams }) => {
      return { path, host: new URL(upstreams[0] ?? '').hostname, names: [name, ...aliases] };
    });
    expect(rows).toEqual(known);
  });

  test('include the one that issues tokens', () => {
    const prefix = `${services[0]?.path}/auth/`;
    const { authIssuePaths, authRevokePaths } = load({});
    expect([...authIssuePaths, ...authRevokePaths].every((path) => path.startsWith(prefix))).toBe(true);
  });
});

describe('GATEWAY_FILE', () => {
  test('needs a name and a path, and inherits the rest', () => {
    const [service] = servicesOf(
      { services: [{ name: 'orders', path: '/orders' }] },
      {
        PER_SERVICE_LIMIT: '5',
        SERVICE_STREAMS: '6',
        REQUEST_TIMEOUT: '1s',
        GET_CACHE_TTL: '2s',
        UPSTREAM_TIMEOUT: '4s',
        MAX_BODY_BYTES: '7',
      },
    );
    expect(service).toMatchObject({
      name: 'orders',
      path: '/orders',
      upstreams: [],
      aliases: [],
      stripPrefix: true,
      concurrency: 5,
      streams: 6,
      requestTimeoutMs: 1000,
      idleTimeoutMs: 4000,
      maxBodyBytes: 7,
      cacheTtlMs: 2000,
      cacheShared: true,
      breaker: { ...BREAKER, windowMs: 3500 },
      retries: true,
      hedges: true,
      basePath: '',
      publicPaths: false,
      auth: { need: 'required' },
      host: 'client',
      routes: [],
    });
  });

  test('reads "off" as no breaker', () => {
    const service = { name: 'orders', path: '/orders', breaker: 'off' };
    expect(servicesOf({ services: [service] })[0]?.breaker).toBe(undefined);
  });

  test('takes the place of the built-in services, and its values that of the defaults', () => {
    const same = {
      name: 'budgeting',
      path: '/budgeting',
      aliases: ['padstack_budgeting-service'],
      stripPrefix: false,
      breaker: false,
      publicPaths: false,
      host: 'client',
    };
    const full = {
      ...same,
      upstreams: ['http://budgeting-service:8087/', 'https://[::1]:8443'],
      timeouts: { request: '1m30s', idle: '2s' },
      limits: { concurrency: 50, streams: 500, body: '1KiB' },
      cache: { ttl: '5s', shared: false },
    };
    const expected = {
      ...same,
      breaker: undefined,
      retries: true,
      hedges: true,
      upstreams: ['http://budgeting-service:8087', 'https://[::1]:8443'],
      requestTimeoutMs: 90_000,
      idleTimeoutMs: 2000,
      concurrency: 50,
      streams: 500,
      maxBodyBytes: 1024,
      cacheTtlMs: 5000,
      cacheShared: false,
      auth: { need: 'required' },
      basePath: '',
      routes: [],
    };
    expect(servicesOf({ services: [full] })).toMatchObject([expected]);
  });

  const ORIGIN =
    'expected an address such as http://budgeting-service:8087, perhaps with a path that goes before all others';
  const PATH =
    'expected a slash and one segment, such as /budgeting, other than metrics, healthz, readyz, internal, admin';
  const wrongFields: { in: object; out: string }[] = [
    {
      in: { timeouts: { request: 'soon' } },
      out: '.timeouts.request is "soon": expected a duration such as 500ms, 3s or 1m30s (from 1ms to 24d)',
    },
    {
      in: { timeouts: { request: 3 } },
      out: '.timeouts.request is 3: expected a duration such as 500ms, 3s or 1m30s (from 1ms to 24d)',
    },
    {
      in: { limits: { concurrency: 0 } },
      out: '.limits.concurrency is 0: expected a whole number from 1 to 1000000',
    },
    {
      in: { limits: { streams: -1 } },
      out: '.limits.streams is -1: expected a whole number from 0 to 1000000',
    },
    {
      in: { limits: { concurrency: '10' } },
      out: '.limits.concurrency is "10": expected a whole number from 1 to 1000000',
    },
    { in: { stripPrefix: 'no' }, out: '.stripPrefix is "no": expected true or false' },
    { in: { upstreams: 'http://a' }, out: '.upstreams is "http://a": expected a list of addresses' },
    { in: { upstreams: ['http://a', 'a:80'] }, out: `.upstreams[1] is "a:80": ${ORIGIN}` },
    { in: { upstreams: ['http://a/api?x'] }, out: `.upstreams[0] is "http://a/api?x": ${ORIGIN}` },
    { in: { upstreams: ['http://a?x=1'] }, out: `.upstreams[0] is "http://a?x=1": ${ORIGIN}` },
    { in: { upstreams: ['http://u:p@a'] }, out: `.upstreams[0] is "http://***@a": ${ORIGIN}` },
    { in: { upstreams: ['ws://a'] }, out: `.upstreams[0] is "ws://a": ${ORIGIN}` },
    { in: { upstreams: [{ url: 'ws://a' }] }, out: `.upstreams[0].url is "ws://a": ${ORIGIN}` },
    { in: { upstreams: [{ weight: 1 }] }, out: `.upstreams[0].url is missing: ${ORIGIN}` },
    ...[-1, 1001, 0.5, '3', null].map((weight) => ({
      in: { upstreams: [{ url: 'http://a', weight }] },
      out: `.upstreams[0].weight is ${JSON.stringify(weight)}: expected a whole number from 0 to 1000`,
    })),
    {
      in: { upstreams: [{ url: 'http://a', weights: 1 }] },
      out: '.upstreams[0].weights is not known: did you mean weight?',
    },
    { in: { path: 'a' }, out: `.path is "a": ${PATH}` },
    { in: { path: '/a/b' }, out: `.path is "/a/b": ${PATH}` },
    { in: { path: '/a b' }, out: `.path is "/a b": ${PATH}` },
    { in: { path: '/..' }, out: `.path is "/..": ${PATH}` },
    { in: { path: '/metrics' }, out: `.path is "/metrics": ${PATH}` },
    { in: { path: '/internal' }, out: `.path is "/internal": ${PATH}` },
    { in: { path: '/admin' }, out: `.path is "/admin": ${PATH}` },
    { in: { path: undefined }, out: `.path is missing: ${PATH}` },
    {
      in: { name: '' },
      out: '.name is "": expected a name of letters, digits, dots, dashes and underscores',
    },
    { in: { breaker: 'on' }, out: '.breaker is "on": expected off, true, false or an object' },
    { in: { cache: 'none' }, out: '.cache is "none": expected off, explicit or an object' },
    {
      in: { cache: { ttl: 'soon' } },
      out: '.cache.ttl is "soon": expected a duration such as 500ms, 3s or 1m30s (from 0 to 24d) or explicit',
    },
    { in: { cache: { tt: '1s' } }, out: '.cache.tt is not known: expected one of ttl, shared' },
    { in: { limits: 3 }, out: '.limits is 3: expected an object' },
    {
      in: { limits: { body: '3 MB' } },
      out: '.limits.body is "3 MB": expected a size in bytes such as 65536, 64KiB, 1MiB or 1GiB, from 0',
    },
    { in: { timeout: { request: '3s' } }, out: '.timeout is not known: did you mean timeouts?' },
    { in: { limits: { concurency: 3 } }, out: '.limits.concurency is not known: did you mean concurrency?' },
    // Of another place.
    { in: { rate: [] }, out: '.rate is not known here: expected it below limits' },
    { in: { split: [] }, out: '.split is not known here: expected it on a route' },
    {
      in: { routes: [{ match: { path: '/x' }, tls: 'off' }] },
      out: '.routes[0].tls is not known here: expected it in defaults or at a service',
    },
    {
      in: { routes: [{ match: { path: '/x' }, health: 'off' }] },
      out: '.routes[0].health is not known here: expected it in defaults or at a service',
    },
    {
      in: { routes: [{ match: { path: '/x' }, methods: ['GET'] }] },
      out: '.routes[0].methods is not known here: expected it below match or below cors or below mirror',
    },
    // A name that goes on, or breaks off.
    { in: { compression: 'on' }, out: '.compression is not known: did you mean compress?' },
    {
      in: { health: { path: '/h', unhealthy: 2 } },
      out: '.health.unhealthy is not known: did you mean unhealthyAfter?',
    },
    // What the former SERVICES_FILE had.
    { in: { requestTimeout: '3s' }, out: '.requestTimeout is not known: it is timeouts.request now' },
    { in: { cacheShared: false }, out: '.cacheShared is not known: it is cache.shared now' },
  ];
  test.each(wrongFields)('names what is wrong with $in', ({ in: fields, out }) => {
    const services = [
      { name: 'first', path: '/first' },
      { name: 'second', path: '/second', ...fields },
    ];
    expect(problemsOf({ services })).toEqual([`gateway.json: services[1]${out}`]);
  });

  const wrongFiles: { in: unknown; out: string }[] = [
    { in: '', out: 'gateway.json: the file is empty: expected services' },
    { in: '{\n  "services": [,]\n}\n', out: 'gateway.json: expected JSON; there is a mistake here' },
    { in: [], out: 'gateway.json: the file is a list: expected an object such as { services: [...] }' },
    { in: { services: [] }, out: 'gateway.json: services is []: expected at least one service' },
    {
      in: { services: ['budgeting'] },
      out: 'gateway.json: services[0] is "budgeting": expected an object with a name',
    },
    {
      in: { service: [], services: [{ name: 'a', path: '/a' }] },
      out: 'gateway.json: service is not known: did you mean services?',
    },
    {
      in: { compress: 'on', services: [{ name: 'a', path: '/a' }] },
      out: 'gateway.json: compress is not known here: expected it in defaults or at a service or on a route',
    },
    {
      in: {
        routes: [{ match: { path: '/x' }, redirect: { to: '/y' }, services: 'a' }],
        services: [{ name: 'a', path: '/a' }],
      },
      out: 'gateway.json: routes[0].services is not known: did you mean service?',
    },
  ];
  test.each(wrongFiles)('names what is wrong with $in', ({ in: content, out }) => {
    expect(problemsOf(content)).toEqual([expect.stringContaining(out)]);
  });

  test('says nothing about services that have another mistake where others name them', () => {
    const services = [
      { name: 'a', path: '/a', weight: 1, mirror: { service: 'b' } },
      { name: 'b', path: '/b', mirror: { service: 'a' } },
    ];
    const routes = [{ match: { path: '/x' }, service: 'a' }];
    expect(problemsOf({ services, routes })).toEqual([
      expect.stringContaining('services[0].weight is not known'),
    ]);
  });

  test('tells where its JSON goes wrong', () => {
    expect(problemsOf('{"services": [{"name": "budgeting" "path": "/budgeting"}]}')).toEqual([
      'gateway.json: expected JSON; there is a mistake here',
    ]);
  });

  test('tells why it cannot be read', () => {
    const missing = { JWT_SECRET: 'x', GATEWAY_FILE: '/nowhere/gateway.json' };
    expect(() => loadSettings(missing)).toThrow(
      'GATEWAY_FILE is "/nowhere/gateway.json": expected a readable file (ENOENT)',
    );
  });

  test('gives each path, name and alias to one service', () => {
    const services = [
      { name: 'a', path: '/a', aliases: ['a', 'b'] },
      { name: 'b', path: '/a' },
      { name: 'c', path: '/wrong/path' },
      { name: 'd', path: '/d', aliases: ['d-service', 'b'] },
    ];
    expect(problemsOf({ services }).slice(1)).toEqual([
      'gateway.json: services[1].path is "/a": expected another for b, since a (services[0]) has "/a"',
      'gateway.json: services[1].name is "b": expected another for b, since a (services[0]) has "b"',
      'gateway.json: services[3].aliases[1] is "b": expected another for d, since a (services[0]) has "b"',
    ]);
  });

  test.each([
    { names: 'Orders, orders', out: ['services[1].name is "orders"', '"Orders"'] },
    { names: 'lost-found, Lost_Found', out: ['services[1].name is "Lost_Found"', '"lost-found"'] },
  ])('refuses two services that a registry could not tell apart: $names', ({ names, out: [what, other] }) => {
    const services = names.split(', ').map((name, index) => ({ name, path: `/${index}` }));
    const [first, second] = names.split(', ');
    expect(problemsOf({ services })).toEqual([
      `gateway.json: ${what}: expected another for ${second}, since ${first} (services[0]) has ${other}`,
    ]);
  });

  test.each([
    ['budgeting', 'budgeting-service-v2', 'budgeting.2', 'my_budgeting'],
    ['lost-found', 'found', 'lost'],
  ])('takes names of which one is part of another: %s, %s, %s', (...names) => {
    const services = names.map((name, index) => ({ name, path: `/${index}` }));
    expect(servicesOf({ services }).map(({ name }) => name)).toEqual(names);
  });

  test('tells paths apart by letter case', () => {
    const services = [
      { name: 'a', path: '/orders' },
      { name: 'b', path: '/Orders' },
    ];
    expect(problemsOf({ services })).toEqual([]);
  });

  test('takes upstreams with weights', () => {
    const upstreams = ['http://a:1/x', { url: 'http://b:2/x', weight: 0 }, { url: 'http://c/x', weight: 30 }];
    expect(servicesOf({ services: [{ name: 'a', path: '/a', upstreams }] })).toMatchObject([
      {
        upstreams: ['http://a:1', 'http://b:2', 'http://c'],
        weights: { 'http://b:2': 0, 'http://c': 30 },
        basePath: '/x',
      },
    ]);
  });

  test('takes upstreams by the names that Swarm makes', () => {
    const upstreams = [
      'http://padstack_budgeting-service:8087',
      'http://padstack_budgeting-service.1.k7oqrdzi84fqlnd59vy81zums:8087',
      'http://tasks.test-stack_budgeting-service:8087',
    ];
    expect(servicesOf({ services: [{ name: 'a', path: '/a', upstreams }] })[0]?.upstreams).toEqual(upstreams);
  });
});

describe('services and the settings', () => {
  const problems = (services: object[], env: NodeJS.ProcessEnv = {}) =>
    settingsProblemsOf(
      { GATEWAY_FILE: 'gateway.json', ...env },
      { 'gateway.json': JSON.stringify({ services }) },
    ).map((problem) => problem.replace(/^gateway\.json:\d+:\d+:/, 'gateway.json:'));
  const orders = { name: 'orders', path: '/orders', upstreams: ['http://orders:80'] };

  test.each([{ upstreams: [] }, {}])('a service with %j and no registry is refused', (upstreams) => {
    expect(problems([orders, { name: 'empty', path: '/empty', ...upstreams }])).toEqual([
      'The service /empty has no upstreams and SERVICE_DISCOVERY_URL is not set: expected one of the two, or nothing could ever answer for it',
    ]);
    expect(problems([{ name: 'empty', path: '/empty', ...upstreams }], REGISTRY)).toEqual([]);
  });

  test('an upstream that stands there twice is refused, in whatever spelling', () => {
    const upstreams = ['http://orders', 'http://a:1', 'HTTP://Orders:80/'];
    expect(problems([{ ...orders, upstreams }])).toEqual([
      'services[0].upstreams[2] is "http://orders": expected another, services[0].upstreams[0] is the same'.replace(
        /^/,
        'gateway.json: ',
      ),
    ]);
    expect(problems([orders, { ...orders, name: 'second', path: '/second' }])).toEqual([]);
  });

  test.each(['AUTH_ISSUE_PATHS', 'AUTH_REVOKE_PATHS'])('%s that leads to no service is refused', (name) => {
    expect(problems([orders], { [name]: '/orders/in,/order/in' })).toEqual([
      `${name} holds "/order/in": expected a path of a service, /orders/...`,
    ]);
    expect(problems([orders], { [name]: '/orders/in' })).toEqual([]);
    expect(settingsProblemsOf({ [name]: '/ordersx/in' })).toEqual([
      `${name} holds "/ordersx/in": expected a path of a service, such as /userManagement/...`,
    ]);
  });

  test.each([
    ['/orders/in,/orders/out', '/orders/out', '/orders/out'],
    ['/orders/OUT', '/orders/out', '/orders/OUT'],
    ['/orders/out.json', '/orders/out', '/orders/out.json'],
  ])(
    'AUTH_ISSUE_PATHS=%s beside AUTH_REVOKE_PATHS=%s is refused: nothing would be revoked',
    (issue, revoke, both) => {
      expect(problems([orders], { AUTH_ISSUE_PATHS: issue, AUTH_REVOKE_PATHS: revoke })).toEqual([
        `AUTH_ISSUE_PATHS holds "${both}", which is one of AUTH_REVOKE_PATHS: expected it in only one of them, because no token is revoked where none is needed`,
      ]);
      expect(settingsProblemsOf({ AUTH_ISSUE_PATHS: '/userManagement/auth/logout' })).toHaveLength(1);
    },
  );

  test('AUTH_QUERY_TOKEN_PATHS may be a whole service, and must be of one where it is set', () => {
    const name = 'AUTH_QUERY_TOKEN_PATHS';
    expect(problems([orders], { [name]: '/orders' })).toEqual([]);
    expect(problems([orders], { [name]: 'none' })).toEqual([]);
    expect(problems([orders])).toEqual([]);
    expect(problems([orders], { [name]: '/orders/hub,/order' })).toEqual([
      `${name} holds "/order": expected a path of a service, /orders/...`,
    ]);
  });
});
