import { describe, expect, it } from '@jest/globals';
import { authText } from '../../../config/policies/auth/auth.ts';
import { load, problemsOf } from '../../support/gateway/settings.ts';

/** A file with one service `a` and one route `/x` of it, each with more of its own. */
function file({ defaults = '{}', service = '', route = '' }): Readonly<Record<string, string>> {
  const own = service && `, ${service}`;
  const routes = `routes: [{ match: { path: /x }${route && `, ${route}`} }]`;
  return {
    'gateway.yaml': `defaults: ${defaults}\nservices:\n  - { name: a, path: /a, upstreams: [http://a]${own}, ${routes} }\n`,
  };
}

const ACCEPTED = 'bearer, cookie:<name>, query:<name>, apiKey or apiKey:<field>';

type Levels = Parameters<typeof file>[0];

function routeOf(levels: Levels) {
  const route = load({}, file(levels)).services[0]?.routes[0];
  if (!route) throw new Error('no route');
  return route;
}

const authOf = (levels: Levels) => authText(routeOf(levels).settings.auth);

describe('auth', () => {
  it.each([
    [{}, 'required'],
    [{ route: 'auth: none' }, 'none'],
    [{ route: 'auth: { need: optional }' }, 'optional'],
    [{ route: 'auth: { require: { scopes: [a, b:c] } }' }, 'required, scope a, scope b:c'],
    [{ route: 'auth: { require: { claims: { role: admin, n: [1, true] } } }' }, 'required, role, n'],
    [
      { route: 'auth: { sources: [bearer, "cookie:s", "query:t"] }' },
      'required, from bearer cookie:s query:t',
    ],
    [
      { route: 'auth: { sources: [bearer, apiKey, "apiKey:X-Service-Key"] }' },
      'required, from bearer apiKey apiKey:x-service-key',
    ],
  ])('is as it is given: %j', (levels, text) => {
    expect(authOf(levels)).toBe(text);
  });

  it.each([
    [{ service: 'auth: optional' }, 'optional'],
    [{ defaults: '{ auth: { require: { scopes: [a] } } }' }, 'required, scope a'],
    [
      { defaults: '{ auth: { sources: ["cookie:s"] } }', service: 'auth: optional' },
      'optional, from cookie:s',
    ],
    [
      { service: 'auth: { require: { scopes: [a] } }', route: 'auth: { sources: [bearer] }' },
      'required, scope a, from bearer',
    ],
    [
      {
        defaults: '{ auth: { require: { claims: { role: [user] } } } }',
        service: 'auth: { require: { scopes: [a] } }',
        route: 'auth: { require: { claims: { role: [admin], tenant: x } } }',
      },
      'required, role, tenant, scope a',
    ],
  ])('is inherited, field by field: %j', (levels, text) => {
    expect(authOf(levels)).toBe(text);
  });

  it.each([
    [{ service: 'auth: { require: { scopes: [a] } }', route: 'auth: required' }, 'required'],
    [{ service: 'auth: { require: { scopes: [a] } }', route: 'auth: none' }, 'none'],
    [{ service: 'auth: { require: { scopes: [a] } }', route: 'auth: { require: off }' }, 'required'],
    [
      { service: 'auth: { require: { scopes: [a] } }', route: 'auth: { require: false, need: optional }' },
      'optional',
    ],
    [
      { service: 'auth: { sources: [bearer, "cookie:s"] }', route: 'auth: { sources: ["query:t"] }' },
      'required, from query:t',
    ],
    // What asks something of a token asks for one, also where the service asks nobody.
    [{ service: 'auth: none', route: 'auth: { require: { scopes: [a] } }' }, 'required, scope a'],
  ])('is overridden by what is further in: %j', (levels, text) => {
    expect(authOf(levels)).toBe(text);
  });

  it('keeps the values of a claim, each as what it is', () => {
    const { auth } = routeOf({
      service: 'auth: { require: { claims: { role: [user], "https://faf.example/roles": ["1", 1, true] } } }',
      route: 'auth: { require: { claims: { role: admin } } }',
    }).settings;
    expect(auth.require).toEqual({
      claims: { role: ['admin'], 'https://faf.example/roles': ['1', 1, true] },
      scopes: [],
    });
  });

  it.each([
    [
      'auth: requird',
      'auth is "requird": expected required, optional, none or an object; did you mean required?',
    ],
    ['auth: no', 'auth is "no": expected required, optional, none or an object; did you mean none?'],
    ['auth: [none]', 'auth is ["none"]: expected required, optional, none or an object'],
    [
      'auth: { need: none }',
      'auth.need is "none": expected required or optional; auth: none, where nobody is to be asked',
    ],
    ['auth: { requires: {} }', 'auth.requires is not known: did you mean require?'],
    ['auth: { require: {} }', 'auth.require is {}: expected off, or an object with claims or scopes'],
    ['auth: { require: none }', 'auth.require is "none": expected off, or an object with claims or scopes'],
    ['auth: { require: { roles: [a] } }', 'auth.require.roles is not known: expected one of claims, scopes'],
    ['auth: { require: { scope: [a] } }', 'auth.require.scope is not known: did you mean scopes?'],
    [
      'auth: { require: { claims: {} } }',
      'auth.require.claims is {}: expected an object of claims and their values, at least one',
    ],
    [
      'auth: { require: { claims: { role: [] } } }',
      'auth.require.claims.role is []: expected a value, or a list of values of which one suffices: texts, whole numbers, true or false',
    ],
    [
      'auth: { require: { claims: { role: { a: b } } } }',
      'auth.require.claims.role is {"a":"b"}: expected a value, or a list of values of which one suffices: texts, whole numbers, true or false',
    ],
    [
      'auth: { require: { claims: { role: [admin, ""] } } }',
      'auth.require.claims.role[1] is "": expected a value, or a list of values of which one suffices: texts, whole numbers, true or false',
    ],
    [
      'auth: { require: { claims: { n: 9007199254740993 } } }',
      'auth.require.claims.n is 9007199254740992: expected a value, or a list of values of which one suffices: texts, whole numbers, true or false',
    ],
    [
      'auth: { require: { claims: { __proto__: [admin] } } }',
      'auth.require.claims is {"__proto__":["admin"]}: expected claims other than __proto__',
    ],
    [
      'auth: { require: { scopes: [] } }',
      'auth.require.scopes is []: expected a list of scopes, at least one, each of visible characters without " and \\',
    ],
    [
      'auth: { require: { scopes: ["a b"] } }',
      'auth.require.scopes[0] is "a b": expected a list of scopes, at least one, each of visible characters without " and \\',
    ],
    [
      'auth: { sources: [] }',
      'auth.sources is []: expected a list of bearer, cookie:<name>, query:<name>, apiKey or apiKey:<field>, at least one',
    ],
    ['auth: { sources: [bearer, bearer] }', 'auth.sources is ["bearer","bearer"]: expected each source once'],
    [
      'auth: { sources: ["cokie:s"] }',
      'auth.sources[0] is "cokie:s": expected bearer, cookie:<name>, query:<name>, apiKey or apiKey:<field>; did you mean cookie:s?',
    ],
    [
      'auth: { sources: [cookie] }',
      'auth.sources[0] is "cookie": expected cookie:<name>, with the name of a cookie',
    ],
    [
      'auth: { sources: ["query:a[]"] }',
      'auth.sources[0] is "query:a[]": expected query:<name>, with a name of letters, digits and _.~-',
    ],
    [
      'auth: { sources: [apikey] }',
      `auth.sources[0] is "apikey": expected ${ACCEPTED}; did you mean apiKey?`,
    ],
    [
      'auth: { sources: ["apiKey:X-Api-Key", apiKey] }',
      'auth.sources is ["apiKey:X-Api-Key","apiKey"]: expected each source once',
    ],
    ...['', 'a b', 'X_Api_Key', 'Authorization', 'cookie', 'Host', 'X-Auth-Key', 'If-Match'].map(
      (name): [string, string] => [
        `auth: { sources: ["apiKey:${name}"] }`,
        `auth.sources[0] is "apiKey:${name}": expected apiKey, or apiKey:<field> with a field of letters, digits and - that means nothing else to HTTP or the gateway`,
      ],
    ),
    [
      'auth: { sources: [header] }',
      'auth.sources[0] is "header": expected bearer, cookie:<name>, query:<name>, apiKey or apiKey:<field>; did you mean bearer?',
    ],
    [
      'auth: { need: optional, require: { scopes: [a] } }',
      'auth.need is "optional": expected required, since require asks something of a token: who brings none would be let in',
    ],
    ['token: isue', 'token is "isue": expected issue or revoke; did you mean issue?'],
    ['passAuthorization: yes', 'passAuthorization is "yes": expected true or false'],
  ])('%s is refused', (route, problem) => {
    expect(problemsOf({}, file({ route })).map((each) => each.replace(/^\S+ /, ''))).toEqual([
      `services[0].routes[0].${problem}`,
    ]);
  });

  it('is refused where a level within lets in who brings no token, and another asks something of tokens', () => {
    const levels = { service: 'auth: { require: { scopes: [a] } }', route: 'auth: { need: optional }' };
    expect(problemsOf({}, file(levels))).toEqual([
      expect.stringMatching(
        /^gateway.yaml:\d+:\d+: services\[0\]\.routes\[0\]\.auth\.need is "optional", and require is that of a level further out: expected require: off, or need: required$/,
      ),
    ]);
  });

  it('stands with token on routes alone', () => {
    expect(problemsOf({}, file({ service: 'token: issue' }))).toEqual([
      expect.stringContaining('services[0].token is not known'),
    ]);
  });
});

describe('passAuthorization', () => {
  it.each([
    [{}, false],
    [{ defaults: '{ passAuthorization: true }' }, true],
    [{ service: 'passAuthorization: true', route: 'passAuthorization: false' }, false],
  ])('is off, inherited, overridden: %j', (levels, passes) => {
    expect(routeOf(levels).settings.passAuthorization).toBe(passes);
  });
});

describe('a route is for', () => {
  it.each([
    ['exact', {}],
    ['any', { route: 'auth: { require: { scopes: [a] } }' }],
    [
      'any',
      { service: 'auth: { require: { scopes: [a] } }', route: 'auth: { require: { scopes: [a, b] } }' },
    ],
    ['exact', { service: 'auth: { require: { scopes: [a] } }', route: 'auth: required' }],
    [
      'any',
      { service: 'auth: { require: { scopes: [a] } }', route: 'auth: { require: { claims: { r: 1 } } }' },
    ],
    [
      'any',
      {
        service: 'auth: { require: { claims: { r: [a, b] } } }',
        route: 'auth: { require: { claims: { r: a } } }',
      },
    ],
    [
      'exact',
      {
        service: 'auth: { require: { claims: { r: a } } }',
        route: 'auth: { require: { claims: { r: [a, b] } } }',
      },
    ],
    ['any', { service: 'auth: { sources: [bearer, "cookie:s"] }', route: 'auth: { sources: [bearer] }' }],
    ['exact', { service: 'auth: { sources: [bearer] }', route: 'auth: { sources: [bearer, "cookie:s"] }' }],
    ['exact', { service: 'auth: { sources: [bearer] }', route: 'auth: { sources: [bearer, apiKey] }' }],
    ['any', { route: 'auth: { sources: [bearer, apiKey] }' }],
    ['any', { service: 'auth: { sources: [bearer, apiKey] }', route: 'auth: { sources: [apiKey] }' }],
    ['any', { service: 'auth: { sources: [bearer, apiKey] }', route: 'auth: { sources: [bearer] }' }],
    [
      'any',
      {
        service: 'auth: { sources: [apiKey] }',
        route: 'auth: { sources: [apiKey], require: { scopes: [a] } }',
      },
    ],
    ['any', { route: 'auth: { sources: [bearer] }' }],
    ['exact', { route: 'passAuthorization: true' }],
    ['any', { service: 'passAuthorization: true', route: 'passAuthorization: false' }],
    ['exact', { route: 'token: issue' }],
    ['any', { route: 'token: revoke' }],
    // All but a POST needs the claim there.
    ['any', { route: 'token: issue, auth: { require: { claims: { role: admin } } }' }],
    ['exact', { route: 'auth: optional, cache: off' }],
  ])('%s spelling, since it keeps out or lets in: %j', (spelling, levels) => {
    expect(routeOf(levels).spelling).toBe(spelling);
  });
});
