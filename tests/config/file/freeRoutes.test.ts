import { describe, expect, it } from '@jest/globals';
import { settingsWarnings } from '../../../config/report/warnings.ts';
import { JWT_SECRET, load, problemsOf } from '../../support/gateway/settings.ts';

const SERVICES = `services:
  - { name: ordering, path: /orders, upstreams: [http://orders], limits: { body: 1KiB }, routes: [{ match: { path: /x } }] }
  - { name: open, path: /open, upstreams: [http://open], auth: none }
`;

function withRoutes(routes: string, services = SERVICES) {
  const files = { 'gateway.yaml': `${services}routes:\n${routes}\n` };
  const problems = problemsOf({}, files);
  return { problems, settings: problems.length > 0 ? undefined : load({}, files) };
}

describe('routes beside the services', () => {
  it('inherit from the service that they lead to, or from the defaults', () => {
    const { settings } = withRoutes(
      '  - { match: { path: "/api/:id" }, service: ordering, rewrite: "/:id", timeouts: { idle: 1s } }\n' +
        '  - { name: old, match: { path: /old/** }, redirect: { to: /new/** } }',
    );
    const [first, second] = settings?.routes ?? [];
    expect(first).toMatchObject({
      name: '/api/:id',
      action: { kind: 'forward', service: '/orders', cut: '', rewrite: '/:id' },
      settings: { maxBodyBytes: 1024, idleTimeoutMs: 1000, auth: { need: 'required' } },
    });
    expect(second).toMatchObject({
      name: 'old',
      action: { kind: 'redirect', to: '/new/**', status: 307 },
      settings: { maxBodyBytes: 0 },
    });
  });

  it('give every service a route for all that no other is for', () => {
    const { settings } = withRoutes('  - { match: { path: /a }, service: ordering }');
    expect(
      settings?.services.map(({ routes }) => routes.map(({ name, spelling }) => `${spelling} ${name}`)),
    ).toEqual([['any /orders/x', 'any /orders/**'], ['exact /open/**']]);
  });

  it.each(['', ', priority: 0', ', headers: {}'])(
    'give it none beside its own for all: { path: "/**"%s }',
    (more) => {
      const own = SERVICES.replace('{ path: /x }', `{ path: "/**"${more} }`);
      const { settings } = withRoutes('  - { match: { path: /a }, service: ordering }', own);
      expect(settings?.services[0]?.routes.map(({ name }) => name)).toEqual(['/orders/**']);
    },
  );

  it('are called by no value of a field that may be a secret, and each otherwise', () => {
    const { settings } = withRoutes(
      ['TOPSECRETKEY1', 'TOPSECRETKEY2', '12345678']
        .map((key) => `  - { match: { path: /a, headers: { x-api-key: "${key}" } }, service: ordering }`)
        .join('\n'),
    );
    const names = settings?.routes.map(({ name }) => name) ?? [];
    expect(names).toEqual([
      expect.stringMatching(/^\/a x-api-key=#[0-9a-f]{6}$/),
      expect.stringMatching(/^\/a x-api-key=#[0-9a-f]{6}$/),
      '/a x-api-key=12345678',
    ]);
    expect(new Set(names).size).toBe(3);
  });

  it('keep out in any spelling what one of them opens elsewhere', () => {
    const closed = SERVICES.replace(', auth: none', '');
    const spellings = (auth: string) => {
      const { settings } = withRoutes(
        `  - { match: { path: /a/** }, service: ordering, auth: ${auth} }`,
        closed,
      );
      return settings?.services.flatMap(({ routes }) => routes.map(({ spelling }) => spelling));
    };
    expect(spellings('required')).toEqual(['exact', 'exact', 'exact']);
    expect(spellings('none')).toEqual(['any', 'any', 'any']);
  });

  it.each([
    [
      '{ match: { path: /a } }',
      'routes[0] does not say what becomes of its requests: expected one of service, split, redirect, respond',
    ],
    [
      '{ match: { path: /a }, service: order }',
      'routes[0].service is "order", which is no service: expected one of ordering, open',
    ],
    [
      '{ match: { path: /a }, service: orderingg }',
      'routes[0].service is "orderingg", which is no service: did you mean ordering?',
    ],
    [
      '{ match: { path: /a }, service: ordering, respond: { status: 503 } }',
      'routes[0].respond stands beside service: expected one of service, split, redirect, respond',
    ],
    [
      '{ match: { path: /a }, respond: { status: 503 }, rewrite: /x }',
      'routes[0].rewrite stands beside respond: expected it beside a service or split',
    ],
    [
      '{ match: { path: "/a/:id" }, service: ordering, rewrite: "/x/:name" }',
      'routes[0].rewrite is "/x/:name": expected no :name, since the names in /a/:id are :id (a colon that means itself is %3A)',
    ],
    [
      '{ match: { path: /a }, service: ordering, rewrite: "/x?y" }',
      'routes[0].rewrite is "/x?y": expected a path such as /orders/:id or /orders/**, with what the path of match has by name',
    ],
    [
      '{ match: { path: /a }, redirect: { to: /x/** } }',
      'routes[0].redirect.to is "/x/**": expected no ** here, since /a has none',
    ],
    ...['//evil.example', 'evil.example', 'javascript:x', 'https://**', 'https://a b', '/a\\b'].map((to) => [
      `{ match: { path: /a/** }, redirect: { to: ${JSON.stringify(to)} } }`,
      expect.stringContaining('routes[0].redirect.to is '),
    ]),
    [
      '{ match: { path: /a }, redirect: { to: /x, status: 200 } }',
      'routes[0].redirect.status is 200: expected 301, 302, 303, 307 or 308',
    ],
    [
      '{ match: { path: /a }, respond: { status: 100 } }',
      'routes[0].respond.status is 100: expected a status from 200 to 599',
    ],
    [
      '{ match: { path: /healthz }, service: ordering }',
      'routes[0].match.path is "/healthz": expected another, the gateway serves /healthz itself',
    ],
    [
      '{ match: { path: /orders/** }, service: open }',
      'routes[0].match is equal to services[0].path, and one request can match both: expected a higher priority for one of them',
    ],
    [
      '{ match: { path: /Orders/X }, service: open }',
      'routes[0].match is equal to services[0].routes[0].match, and one request can match both: expected a higher priority for one of them',
    ],
    [
      '{ name: a, match: { path: /a }, service: open }, { name: a, match: { path: /b }, service: open }',
      'routes[1].name is "a": expected another, routes[0] is called so',
    ],
    [
      '{ match: { path: /a }, name: "a b", service: open }',
      'routes[0].name is "a b": expected a name of up to 64 letters, digits and ._/:-',
    ],
  ])('%s are refused', (routes, problem) => {
    const { problems } = withRoutes(`  [${routes}]`);
    expect(problems.map((each) => each.replace(/^\S+ /, ''))).toEqual([problem]);
  });

  it('of a service say one thing at most', () => {
    const { problems } = withRoutes(
      '  []',
      SERVICES.replace(
        '{ match: { path: /x } }',
        '{ match: { path: /x }, rewrite: /y, redirect: { to: /z } }',
      ),
    );
    expect(problems).toEqual([
      expect.stringMatching(
        /^gateway.yaml:2:\d+: services\[0\]\.routes\[0\]\.redirect stands beside rewrite: expected one of rewrite, redirect, respond$/,
      ),
    ]);
  });

  it('may be where a login or logout is', () => {
    const files = {
      'gateway.yaml': `${SERVICES}routes:\n  - { match: { path: /api/login }, service: ordering }\n`,
    };
    expect(problemsOf({ AUTH_ISSUE_PATHS: '/api/login' }, files)).toEqual([]);
    expect(problemsOf({ AUTH_ISSUE_PATHS: '/api/logins' }, files)).toHaveLength(1);
  });
});

it('the paths before those of a service are the same at all its replicas', () => {
  const upstreams = (list: string) =>
    problemsOf({}, { 'gateway.yaml': `services: [{ name: a, path: /a, upstreams: [${list}] }]` });
  expect(upstreams('http://a/v1, http://b/v1/')).toEqual([]);
  expect(upstreams('http://a/v1, http://b')).toEqual([
    expect.stringMatching(
      /services\[0\]\.upstreams\[1\] is "http:\/\/b": expected the path of the first, "http:\/\/a\/v1"$/,
    ),
  ]);
  for (const wrong of ['http://a/x?y', 'http://a/%41', 'http://a//x', 'http://u:p@a'])
    expect(upstreams(wrong)).toEqual([expect.stringContaining('services[0].upstreams[0] is ')]);
});

describe('addresses', () => {
  const FILE = (more: string) => ({
    'gateway.yaml': `defaults: { deny: [192.0.2.66], allow: [10.0.0.0/8] }
services: [{ name: a, path: /a, upstreams: [http://a], deny: [192.0.2.7], routes: [${more}] }]`,
  });

  it('are inherited: who is denied further out is denied further in', () => {
    const [first, second] =
      load(
        {},
        FILE('{ match: { path: /x }, deny: [192.0.2.8, 192.0.2.7] }, { match: { path: /y }, allow: [::/0] }'),
      ).services[0]?.routes ?? [];
    expect(first?.settings).toMatchObject({
      allow: ['10.0.0.0/8'],
      deny: ['192.0.2.66', '192.0.2.7', '192.0.2.8'],
    });
    expect(first?.spelling).toBe('any');
    expect(second?.settings).toMatchObject({ allow: ['::/0'], deny: ['192.0.2.66', '192.0.2.7'] });
  });

  it.each([
    '10.1.2.3/8',
    '10.0.0.0/255.0.0.0',
    '::ffff:10.0.0.0/104',
    'fe80::/10',
    'loopback',
    'linklocal',
    'uniquelocal',
  ])('%s is an address or range', (given) => {
    expect(problemsOf({}, FILE(`{ match: { path: /x }, deny: ["${given}"] }`))).toEqual([]);
  });

  it.each([
    [
      'allow: []',
      'allow is []: expected a list of IP addresses and ranges, such as [10.0.0.0/8, "fd00::/8"]',
    ],
    [
      'deny: [10.0.0.0/33]',
      'deny[0] is "10.0.0.0/33": expected an IP address or range such as 10.0.0.0/8 or fd00::/8, or loopback, linklocal or uniquelocal',
    ],
    [
      'deny: [faf.example]',
      'deny[0] is "faf.example": expected an IP address or range such as 10.0.0.0/8 or fd00::/8, or loopback, linklocal or uniquelocal',
    ],
    ...[
      '010.0.0.0/8',
      '10.0.0.010',
      '0x0a.0.0.1',
      '167772161',
      '10.0.0.0/0xff.0.0.0',
      '10.0.0.0/08',
      '::ffff:10.0.0.0/8',
    ].map((given) => [
      `deny: ["${given}"]`,
      `deny[0] is "${given}": expected an IP address or range such as 10.0.0.0/8 or fd00::/8, or loopback, linklocal or uniquelocal`,
    ]),
  ])('%s is refused', (more, problem) => {
    const problems = problemsOf({}, FILE(`{ match: { path: /x }, ${more} }`));
    expect(problems.map((each) => each.replace(/^\S+ /, ''))).toEqual([`services[0].routes[0].${problem}`]);
  });
});

describe('warnings', () => {
  const warningsOf = (routes: string, env: NodeJS.ProcessEnv = { JWT_SECRET }) => {
    const files = {
      'gateway.yaml': `services: [{ name: s, path: /s, upstreams: [http://s], routes: [${routes}] }]`,
    };
    return settingsWarnings({ env, dotenv: {}, settings: load(env, files) });
  };

  it.each([
    [
      '{ match: { path: /s/login } }',
      'The route /s/s/login has /s twice: the path of match is below that of its service, which is not repeated',
    ],
    [
      '{ match: { path: /in, methods: [GET] }, token: issue }',
      'The route GET /s/in has token: issue, which does nothing: it takes POST',
    ],
    [
      '{ match: { path: /out, methods: [GET] }, token: revoke }',
      'The route GET /s/out has token: revoke, which does nothing: it takes methods that change something, such as POST or DELETE',
    ],
  ])('%s is one', (routes, warning) => {
    expect(warningsOf(routes)).toContain(warning);
  });

  it('are none for a file whose routes issue and revoke tokens', () => {
    const routes =
      '{ match: { path: /in }, token: issue }, { match: { path: /out }, token: revoke }, { match: { path: /shop } }';
    expect(warningsOf(routes)).toEqual([]);
  });
});
