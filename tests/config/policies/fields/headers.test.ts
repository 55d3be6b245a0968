import { describe, expect, it } from '@jest/globals';
import { load, problemsOf } from '../../../support/gateway/settings.ts';

const SERVICE = 'name: a, path: /a, upstreams: [http://a]';

function fileOf(defaults: string, service = '', route = '') {
  const routes = route === '' ? '' : `, routes: [{ match: { path: /r }, ${route} }]`;
  const own = [SERVICE, service].filter(Boolean).join(', ');
  return { 'gateway.yaml': `defaults: { ${defaults} }\nservices: [{ ${own}${routes} }]` };
}

function settingsOf(...levels: Parameters<typeof fileOf>) {
  const { services, defaults } = load({ KEY: 'k-1', LINES: 'a\r\nX: b' }, fileOf(...levels));
  return { defaults, service: services[0], route: services[0]?.routes[0]?.settings };
}

function wrong(...levels: Parameters<typeof fileOf>): readonly string[] {
  return problemsOf({ KEY: 'k-1', LINES: 'a\r\nX: b' }, fileOf(...levels));
}

describe('headers', () => {
  it('are as they come unless a level says something', () => {
    expect(settingsOf('headers: { request: {}, response: { set: {}, remove: [] } }').service).toMatchObject({
      requestRules: undefined,
      responseRules: undefined,
    });
  });

  it('are inherited by name, in any case', () => {
    const { service, route, defaults } = settingsOf(
      'headers: { response: { set: { X-A: 1, X-B: b }, add: { Link: [</a>, </b>] }, remove: [Server] } }',
      // biome-ignore lint/suspicious/noTemplateCurlyInString: that is how files have it.
      'headers: { request: { set: { Authorization: "Basic ${KEY}" } }, response: { set: { x-a: true } } }',
      'headers: { response: { remove: [X-B, LINK], add: { X-C: "" } } }',
    );
    expect(defaults.responseRules).toEqual({
      set: ['X-A', '1', 'X-B', 'b'],
      add: ['Link', '</a>', 'Link', '</b>'],
      remove: ['server'],
    });
    expect(service?.requestRules).toEqual({ set: ['Authorization', 'Basic k-1'], add: [], remove: [] });
    expect(service?.responseRules).toEqual({
      set: ['x-a', 'true', 'X-B', 'b'],
      add: ['Link', '</a>', 'Link', '</b>'],
      remove: ['server'],
    });
    expect(route?.requestRules).toEqual(service?.requestRules);
    expect(route?.responseRules).toEqual({ set: ['x-a', 'true'], add: ['X-C', ''], remove: ['x-b', 'link'] });
  });

  it('off takes away what is further out', () => {
    const { route } = settingsOf('headers: { response: { remove: [Server] } }', '', 'headers: off');
    expect(route?.responseRules).toBe(undefined);
  });

  it.each([
    ...['Connection', 'Keep-Alive', 'TE', 'Trailer', 'Transfer-Encoding', 'Upgrade', 'Proxy-Authorization'],
    ...['Content-Length', 'Host', 'X-Auth-Subject', 'X-Auth-Claims', 'X-Forwarded-For', 'X-Forwarded-Host'],
    ...['Forwarded', 'X-Real-Ip', 'Via', 'traceparent', 'tracestate', 'X-Request-Id', 'X-Request-Timeout-Ms'],
    ...['Expect', 'Proxy', 'X-Original-Url', 'X_Auth_Subject', 'X_Custom', 'Range', 'If-None-Match'],
    ...['X-HTTP-Method-Override', 'Sec-WebSocket-Protocol', 'Access-Control-Request-Method', 'Remote-User'],
  ])('refuse to change %s of a request', (name) => {
    for (const rule of [`set: { ${name}: x }`, `add: { ${name}: x }`, `remove: [${name}]`])
      expect(wrong('', `headers: { request: { ${rule} } }`)).toEqual([
        expect.stringMatching(
          /^gateway\.yaml:2:\d+: services\[0\]\.headers\.request\..* is a field that the gateway sets itself, or must know: (leave it out|use .+)$/,
        ),
      ]);
  });

  it.each([
    ...[
      'Connection',
      'Transfer-Encoding',
      'Content-Length',
      'Content-Encoding',
      'X-Request-Id',
      'Via',
      'Date',
    ],
    ...['X-Cache', 'Cache-Status', 'Age', 'ETag', 'Last-Modified', 'Vary', 'RateLimit', 'Retry-After'],
    ...['WWW-Authenticate', 'Proxy-Status', 'Access-Control-Allow-Origin', 'Allow', 'Location'],
  ])('refuse to change %s of a response', (name) => {
    for (const rule of [`set: { ${name}: x }`, `add: { ${name}: x }`, `remove: [${name}]`])
      expect(wrong(`headers: { response: { ${rule} } }`)).toEqual([
        expect.stringContaining(' is a field that the gateway sets itself, or must know: '),
      ]);
  });

  it.each([
    [
      'request: { set: { Host: a } }',
      'headers.request.set.Host is a field',
      'use host: client, upstream or a name',
    ],
    [
      'request: { remove: [X-Forwarded-For] }',
      'remove[0] (X-Forwarded-For) is a field',
      'use TRUSTED_PROXIES',
    ],
    ['request: { set: { X-Auth-Role: a } }', 'set.X-Auth-Role is a field', 'use a name of its own'],
    ['response: { set: { Access-Control-Allow-Origin: "*" } }', 'is a field', 'use cors'],
    ['request: { set: { "a b": x } }', 'set.a b is no name of a field', 'letters, digits and hyphens'],
    ['request: { set: { "": x } }', 'is no name of a field', ''],
    ['request: { set: { X-A: a, x-a: b } }', 'set.x-a is there as X-A already', 'a list of values'],
    ['request: { set: { X-A: [] } }', 'set.X-A is []', 'a text, a number, true, false, or a list of them'],
    ['request: { set: { X-A: { b: c } } }', 'set.X-A', 'a text, a number, true, false, or a list of them'],
    [
      'request: { set: { X-A: a }, remove: [x-a] }',
      'remove[0] (x-a) is given a value as well',
      'one of the two',
    ],
    [
      'request: { sets: { X-A: a } }',
      'headers.request.sets is not known',
      'expected one of set, add, remove',
    ],
    ['requests: { set: { X-A: a } }', 'headers.requests is not known', 'did you mean request?'],
    ['request: { remove: Server }', 'remove is "Server"', 'a list of field names, such as [Server]'],
  ])('refuse %s, with the place and the way out', (rules, place, way) => {
    const problems = wrong('', `headers: { ${rules} }`);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(place);
    expect(problems[0]).toContain(way);
  });

  // biome-ignore lint/suspicious/noTemplateCurlyInString: that is how files have it.
  it.each(['"s3cret\\r\\nX: y"', '"s3cret\\u0000"', '"s3cretü"', '" s3cret"', '"s3cret "', '"${LINES}"'])(
    'refuse the value %s, and do not show it',
    (value) => {
      const problems = wrong('', `headers: { request: { set: { X-Key: ${value} } } }`);
      expect(problems).toEqual([
        expect.stringContaining('services[0].headers.request.set.X-Key has a value that no field can have'),
      ]);
      expect(problems.join()).not.toMatch(/s3cret|X: /);
    },
  );

  it.each([
    ['headers: { response: { remove: [X-Internal] } }', 'any'],
    ['headers: { request: { remove: [Cookie] } }', 'any'],
    ['headers: { response: { remove: [Server] } }', 'exact'],
    ['headers: { response: { set: { X-A: b } } }', 'exact'],
    ['security: { csp: "default-src none" }', 'any'],
    ['security: off', 'exact'],
  ])('%s makes a route count for %s spelling of its path', (route, spelling) => {
    const files = fileOf('security: true, headers: { response: { remove: [server] } }', '', route);
    expect(load({}, files).services[0]?.routes[0]).toMatchObject({ spelling });
  });
});

describe('security', () => {
  const DEFAULT = {
    hsts: 'max-age=31536000',
    nosniff: true,
    frame: 'DENY',
    referrerPolicy: 'strict-origin-when-cross-origin',
    csp: undefined,
    permissionsPolicy: undefined,
  };

  it('is what the service says unless a level says something', () => {
    expect(settingsOf('').service?.security).toBe(undefined);
    expect(settingsOf('security: true', 'security: off', 'security: {}')).toMatchObject({
      defaults: { security: DEFAULT },
      service: { security: undefined },
      route: { security: DEFAULT },
    });
  });

  it('is inherited field by field', () => {
    const { service, route } = settingsOf(
      'security: { hsts: { maxAge: 730d, includeSubDomains: true, preload: true }, frame: sameorigin }',
      'security: { nosniff: off, csp: "default-src \'none\'", referrerPolicy: no-referrer }',
      'security: { hsts: off, frame: off, csp: off, referrerPolicy: off, permissionsPolicy: "camera=()" }',
    );
    expect(service?.security).toEqual({
      hsts: 'max-age=63072000; includeSubDomains; preload',
      nosniff: false,
      frame: 'SAMEORIGIN',
      referrerPolicy: 'no-referrer',
      csp: "default-src 'none'",
      permissionsPolicy: undefined,
    });
    expect(route?.security).toEqual({
      hsts: undefined,
      nosniff: false,
      frame: undefined,
      referrerPolicy: undefined,
      csp: undefined,
      permissionsPolicy: 'camera=()',
    });
  });

  it.each([
    ['security: yes please', 'security is "yes please": expected off, true or an object'],
    ['security: { frame: never }', 'frame is "never": expected deny, sameorigin or off'],
    ['security: { referrerPolicy: none }', 'referrerPolicy is "none": expected no-referrer, '],
    ['security: { nosniff: maybe }', 'nosniff is "maybe": expected true or off'],
    ['security: { csp: "a\\nb" }', 'expected off, or a text of one line in ASCII'],
    ['security: { csp: "" }', 'expected off, or a text of one line in ASCII'],
    ['security: { hsts: { maxAge: 1y } }', 'hsts.maxAge is "1y": expected a duration'],
    ['security: { hsts: 1d }', 'hsts is "1d": expected off, true, or an object'],
    [
      'security: { hsts: { preload: true } }',
      'security.hsts.preload is true: expected includeSubDomains: true',
    ],
    ['security: { xss: true }', 'security.xss is not known: expected one of hsts, nosniff, frame'],
  ])('refuses %s', (said, problem) => {
    expect(wrong('', said)).toEqual([expect.stringContaining(problem)]);
  });
});

describe('host', () => {
  it('is the client’s unless a level says something, and the innermost counts', () => {
    expect(settingsOf('').service?.host).toBe('client');
    expect(settingsOf('host: upstream', '', 'host: api.faf.example:8443')).toMatchObject({
      defaults: { host: 'upstream' },
      service: { host: 'upstream' },
      route: { host: { name: 'api.faf.example:8443' } },
    });
    expect(settingsOf('host: "[::1]:80"', 'host: client')).toMatchObject({
      defaults: { host: { name: '[::1]:80' } },
      service: { host: 'client' },
    });
  });

  it.each(['http://a', 'a/b', 'a b', '"::1"', 'a:99999', '"a:"', '""', 'off', '"a\\r\\nb"', '5'])(
    'refuses %s',
    (host) => {
      expect(wrong(`host: ${host}`)).toEqual([
        expect.stringContaining('expected client, upstream, or a host with or without port'),
      ]);
    },
  );
});
