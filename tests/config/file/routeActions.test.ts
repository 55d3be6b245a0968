import { describe, expect, it } from '@jest/globals';
import { problemsOf } from '../../support/gateway/settings.ts';

const SERVICES =
  'services: [{ name: ordering, path: /orders, upstreams: [http://orders], auth: optional, limits: { body: 1KiB } }]';

/** What is wrong with these free-standing routes, without the place in the file. */
function wrongWith(...routes: string[]): string[] {
  const text = `${SERVICES}\nroutes:\n${routes.map((route) => `  - ${route}\n`).join('')}`;
  return problemsOf({}, { 'gateway.yaml': text }).map((each) => each.replace(/^\S+ /, ''));
}

const respond = (more: string) => `{ match: { path: /a }, respond: { status: 503 }, ${more} }`;
const redirect = (match: string, to: string) => `{ match: { ${match} }, redirect: { to: "${to}" } }`;
const rewrite = (to: string) => `{ match: { path: "/a/:id" }, service: ordering, rewrite: "${to}" }`;

describe('what a redirect or fixed response cannot do', () => {
  it.each([
    ['auth: required', 'auth', 'whoever asks'],
    ['auth: { sources: [bearer] }', 'auth', 'whoever asks'],
    ['token: issue', 'token', 'whoever asks'],
    ['passAuthorization: true', 'passAuthorization', 'and no service gets it'],
    ['timeouts: { request: 1s }', 'timeouts', 'and waits for no service'],
    ['limits: { concurrency: 2 }', 'limits', 'however many ask'],
    ['cache: { ttl: 1s }', 'cache', 'and keeps nothing'],
    ['retry: true', 'retry', 'and tries no service'],
    ['publicPaths: true', 'publicPaths', 'and cuts no prefix'],
    ['host: upstream', 'host', 'and asks no service'],
    ['headers: { request: { remove: [Cookie] } }', 'headers.request', 'and no service gets them'],
  ])('%s is refused', (policy, field, because) => {
    const ending = `the gateway responds at once, ${because} (expected it on a route to a service)`;
    expect(wrongWith(respond(policy))).toEqual([`routes[0].${field} stands beside respond: ${ending}`]);
    expect(wrongWith(`{ match: { path: /a }, redirect: { to: /b }, ${policy} }`)).toEqual([
      `routes[0].${field} stands beside redirect: ${ending}`,
    ]);
  });

  it('is refused on a route of a service as well, unless it is inherited', () => {
    const wrong = (more: string) => {
      const route = `{ match: { path: /x }, respond: { status: 503 }${more} }`;
      const text = SERVICES.replace(' }]', `, routes: [${route}] }]`);
      return problemsOf({}, { 'gateway.yaml': text });
    };
    expect(wrong('')).toEqual([]);
    expect(wrong(', auth: required')).toEqual([
      expect.stringContaining('services[0].routes[0].auth stands beside respond: '),
    ]);
  });

  it.each([
    'auth: none',
    'cache: off, retry: off, breaker: off, publicPaths: false, passAuthorization: false',
    'deny: [192.0.2.7], security: true, cors: { origins: "*" }, headers: { response: { remove: [Server] } }',
  ])('is not %s', (policies) => {
    expect(wrongWith(respond(policies))).toEqual([]);
  });

  it.each([204, 205, 304])('is content with status %d', (status) => {
    expect(wrongWith(`{ match: { path: /a }, respond: { status: ${status}, body: { a: 1 } } }`)).toEqual([
      `routes[0].respond.body is {"a":1}: expected none, since a response with status ${status} has no content`,
    ]);
    expect(wrongWith(`{ match: { path: /a }, respond: { status: ${status} } }`)).toEqual([]);
  });
});

describe('a path with dot segments or empty ones', () => {
  const paths = ['/../b', '/b/..', '/./b', '/b//c', '/%2e%2e/b', '/b/.%2E', '/b%2f..%2fc', '/%252e%252e/b'];
  const more = ['/%25%32%65%2e/b', '/..;x/b', '/%c0%ae/b', '/b%5c..', '/..:id', '/%00'];

  it.each([...paths, ...more])('is no %s', (path) => {
    const expected = `is "${path}": expected a path without empty segments and without . and .., in any encoding`;
    expect(wrongWith(rewrite(path))).toEqual([`routes[0].rewrite ${expected}`]);
    expect(wrongWith(redirect('path: "/a/:id"', path))).toEqual([`routes[0].redirect.to ${expected}`]);
    const away = `https://faf.example${path}`;
    expect(wrongWith(redirect('path: "/a/:id"', away))).toEqual([
      `routes[0].redirect.to is "${away}": expected a path without empty segments and without . and .., in any encoding`,
    ]);
  });

  it('is none of these', () => {
    for (const path of ['/', '/b/', '/.well-known/x', '/b..c/...', '/b%20c', '/:id/.x', '/100%25', '/a%2fb'])
      expect(wrongWith(rewrite(path), redirect('path: "/c/:id"', path))).toEqual([]);
    expect(wrongWith(redirect('path: /c', '/b?next=//x/../y'))).toEqual([]);
  });

  it('is asked for by no request, so that no route can be for it', () => {
    for (const path of ['/a/%2e%2e', '/a/.%2e/b', '/%00', '/a%5cb'])
      expect(wrongWith(`{ match: { path: "${path}" }, service: ordering }`)).toEqual([
        `routes[0].match.path is "${path}": expected a path without dot segments, backslashes and control characters in any encoding: requests for one are refused`,
      ]);
  });
});

describe('a match of what never comes', () => {
  it.each(['CONNECT', 'TRACE'])('is the method %s', (method) => {
    expect(wrongWith(`{ match: { path: /a, methods: [GET, ${method}] }, service: ordering }`)).toEqual([
      `routes[0].match.methods[1] is "${method}": expected another method: the gateway refuses CONNECT and TRACE for every path`,
    ]);
  });

  it.each(['a..b', '*.a..b', '*..b', 'a.b..'])('is the host %s', (host) => {
    expect(wrongWith(`{ match: { path: /a, host: "${host}" }, service: ordering }`)).toEqual([
      `routes[0].match.host is "${host}": expected a host such as api.faf.example or *.faf.example, without a port`,
    ]);
  });

  it.each(['https://a..b/x', 'https://../x', 'https://a:99999/x'])('is the destination %s', (to) => {
    expect(wrongWith(redirect('path: /a', to))).toEqual([
      expect.stringContaining(
        `routes[0].redirect.to is "${to}": expected a path such as /new/**, or an http`,
      ),
    ]);
  });
});

describe('a redirect that leads back to itself', () => {
  const loop = (to: string, index = 0) =>
    `routes[${index}].redirect.to is "${to}": expected another, since it leads back to this route, again and again`;

  it.each([
    ['path: /a', '/a'],
    ['path: /a', '/a?x=1'],
    ['path: /a/**', '/a/**'],
    ['path: /a/**', '/a/b'],
    ['path: /a/**', '/a/b/**'],
    ['path: /**', '/new/**'],
    ['path: "/a/:id"', '/a/1'],
    ['path: "/:x/:id", host: "*.faf.example", headers: { x-version: "2" }', '/:id/:x'],
  ])('{ %s } to %s is refused', (match, to) => {
    expect(wrongWith(redirect(match, to))).toEqual([loop(to)]);
  });

  it('is refused where it goes through another, and both are named', () => {
    expect(wrongWith(redirect('path: /a/**', '/b/**'), redirect('path: /b/**', '/a/**'))).toEqual([
      loop('/b/**'),
      loop('/a/**', 1),
    ]);
    expect(wrongWith(redirect('path: /c', '/a'), redirect('path: /a', '/a'))).toEqual([loop('/a', 1)]);
  });

  it.each([
    [redirect('path: /a/**', '/**')],
    [redirect('path: "/:x/:y/**"', '/:y/**')],
    [redirect('path: /a, host: www.faf.example', 'https://faf.example/a')],
    [redirect('path: /a/**', '/a/new/**'), '{ match: { path: /a/new/** }, service: ordering }'],
    ['{ match: { path: /a, methods: [POST] }, redirect: { to: /a, status: 303 } }'],
    ['{ match: { path: /a, methods: [POST] }, redirect: { to: /a, status: 302 } }'],
  ])('is not %s', (...routes) => {
    expect(wrongWith(...routes)).toEqual([]);
  });

  it('is one that keeps the method', () => {
    expect(wrongWith('{ match: { path: /a, methods: [POST] }, redirect: { to: /a, status: 308 } }')).toEqual([
      loop('/a'),
    ]);
  });
});
