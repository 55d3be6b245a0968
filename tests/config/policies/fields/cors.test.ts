import { describe, expect, it } from '@jest/globals';
import { load, problemsOf } from '../../../support/gateway/settings.ts';

const SERVICE = 'name: a, path: /a, upstreams: [http://a]';

function corsOf(defaults: string, service = '', route?: string) {
  const routes = route === undefined ? '' : `, routes: [{ match: { path: /r }, ${route} }]`;
  const text = `defaults: { ${defaults} }\nservices: [{ ${[SERVICE, service].filter(Boolean).join(', ')}${routes} }]`;
  const files = { 'gateway.yaml': text };
  const problems = problemsOf({}, files);
  if (problems.length > 0) return { problems };
  const { defaults: outer, services } = load({}, files);
  const [{ cors, routes: [own] = [] } = { cors: undefined }] = services;
  return { problems, defaults: outer.cors, cors, route: own };
}

const RULES = {
  origins: ['https://app.faf.example'],
  credentials: false,
  methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
  allowHeaders: undefined,
  exposeHeaders: [],
  maxAgeSeconds: 600,
};

describe('cors', () => {
  it('is nothing unless a level says something', () => {
    expect(corsOf('')).toMatchObject({ problems: [], defaults: undefined, cors: undefined });
  });

  it('is inherited field by field', () => {
    const given = corsOf(
      'cors: { origins: ["https://app.faf.example"], maxAge: 90s }',
      'cors: { credentials: true, methods: [GET] }',
      'cors: { origins: ["https://b.example", "https://*.faf.example"], allowHeaders: [X-A], exposeHeaders: [X-B] }',
    );
    expect(given.defaults).toEqual({ ...RULES, maxAgeSeconds: 90 });
    const own = { ...RULES, maxAgeSeconds: 90, credentials: true, methods: ['GET'] };
    expect(given.cors).toEqual(own);
    expect(given.route?.settings.cors).toEqual({
      ...own,
      origins: ['https://b.example', 'https://*.faf.example'],
      allowHeaders: ['X-A'],
      exposeHeaders: ['X-B'],
    });
  });

  it.each(['off', 'false'])('%s takes away what is further out', (off) => {
    const given = corsOf('cors: { origins: "*" }', '', `cors: ${off}`);
    expect(given.cors).toEqual({ ...RULES, origins: ['*'] });
    expect(given.route?.settings.cors).toBe(undefined);
    expect(
      corsOf('cors: { origins: "*", maxAge: 1h }', 'cors: off', 'cors: { origins: ["*"] }').route,
    ).toMatchObject({
      settings: { cors: { ...RULES, origins: ['*'] } },
    });
  });

  it('reads origins as browsers write them', () => {
    const list = [
      ...['HTTPS://App.Faf.Example', 'https://a.example/', 'https://b.example:443', 'http://c.example:8080'],
      ...[
        'http://localhost:5173',
        'https://*.faf.example',
        'http://*.localhost:3000',
        'https://bücher.example',
      ],
      ...['http://[::1]:80', 'capacitor://localhost', 'chrome-extension://Abc'],
    ];
    expect(corsOf(`cors: { origins: ${JSON.stringify(list)} }`).cors?.origins).toEqual([
      ...['https://app.faf.example', 'https://a.example', 'https://b.example', 'http://c.example:8080'],
      ...['http://localhost:5173', 'https://*.faf.example', 'http://*.localhost:3000'],
      ...['https://xn--bcher-kva.example', 'http://[::1]', 'capacitor://localhost', 'chrome-extension://abc'],
    ]);
  });

  it.each([
    'app.faf.example',
    '//app.faf.example',
    'https://',
    'https://a.example/path',
    'https://a.example?x',
    'https://a.example#x',
    'https://user@a.example',
    'https://a.*.example',
    'https://a*.example',
    'https://**.example',
    'https://*',
    'https://a.example:*',
    'https://a.example:99999',
    'https://a b.example',
    'https://a.example\\\\x',
    'file://x',
    '',
  ])('refuses %j as an origin', (origin) => {
    expect(corsOf('', `cors: { origins: ["${origin}"] }`).problems).toEqual([
      expect.stringMatching(/: services\[0\]\.cors\.origins\[0\] is ".*": expected an origin such as /),
    ]);
  });

  it.each(['null', '"null"'])('refuses %s as an origin, and says why', (origin) => {
    expect(corsOf(`cors: { origins: ["https://a.example", ${origin}] }`).problems).toEqual([
      `gateway.yaml:1:52: defaults.cors.origins[1] is ${origin}: expected the origin of a page. null stands for every sandboxed frame and local file, also those of an attacker: serve the page from an origin of its own`,
    ]);
  });

  it.each(['https://*.com', 'https://*.example:8443'])('refuses %s, which is open to all', (origin) => {
    expect(corsOf(`cors: { origins: ["${origin}"] }`).problems.join()).toContain(
      'expected a name below which all names are yours',
    );
  });

  const OPEN =
    'is true with the origin "*": expected origins by name, since any page could then act as the user';

  it('refuses credentials for all origins, wherever the two are said', () => {
    for (const origins of ['"*"', '["*"]', '["https://a.example", "*"]'])
      expect(corsOf(`cors: { origins: ${origins}, credentials: true }`).problems).toEqual([
        expect.stringContaining(`defaults.cors.credentials ${OPEN}`),
      ]);
    expect(corsOf('cors: { origins: "*" }', 'cors: { credentials: true }').problems).toEqual([
      expect.stringMatching(/^gateway\.yaml:2:\d+: services\[0\]\.cors\.credentials is true/),
    ]);
    const outer = 'cors: { origins: ["https://a.example"], credentials: true }';
    expect(corsOf(outer, '', 'cors: { origins: "*" }').problems).toEqual([
      expect.stringMatching(/^gateway\.yaml:2:\d+: services\[0\]\.routes\[0\]\.cors\.credentials is true/),
    ]);
  });

  it('refuses what would be for nobody, unless a level further in may complete it', () => {
    const missing = 'has no origins: expected origins, here or further out';
    expect(corsOf('', 'cors: { credentials: true }').problems).toEqual([
      expect.stringContaining(`services[0].cors ${missing}`),
    ]);
    expect(corsOf('', '', 'cors: { maxAge: 1m }').problems).toEqual([
      expect.stringContaining(`services[0].routes[0].cors ${missing}`),
    ]);
    expect(corsOf('cors: { credentials: true }').problems).toEqual([]);
    expect(corsOf('', 'cors: { maxAge: 1m }', 'cors: { origins: "*" }').problems).toEqual([]);
  });

  it.each([
    [
      'origins: []',
      'cors.origins is []: expected a list of origins such as [https://app.faf.example], or "*"',
    ],
    ['origins: https://a.example', 'expected a list of origins such as [https://app.faf.example], or "*"'],
    ['methods: [get]', 'methods[0] is "get": expected a list of methods in upper case, such as [GET, POST]'],
    ['methods: ["*"]', 'methods[0] is "*": expected a list of methods in upper case, such as [GET, POST]'],
    ['methods: []', 'methods is []: expected a list of methods in upper case, such as [GET, POST]'],
    [
      'allowHeaders: ["*"]',
      'allowHeaders[0] is "*": expected the name of a field; without allowHeaders all are',
    ],
    ['allowHeaders: ["a b"]', 'allowHeaders[0] is "a b": expected the name of a field'],
    [
      'exposeHeaders: "X-A"',
      'exposeHeaders is "X-A": expected a list of field names, such as [Content-Type]',
    ],
    ['maxAge: soon', 'maxAge is "soon": expected a duration such as'],
    ['credentials: yes please', 'credentials is "yes please": expected true or false'],
    ['origin: ["*"]', 'cors.origin is not known: did you mean origins?'],
  ])('refuses %s', (wrong, problem) => {
    expect(corsOf(`cors: { ${wrong} }`).problems).toEqual([expect.stringContaining(problem)]);
  });

  it('refuses to expose every field to credentials', () => {
    const wrong = 'cors: { origins: ["https://a.example"], credentials: true, exposeHeaders: ["*"] }';
    expect(corsOf(wrong).problems).toEqual([
      expect.stringContaining('cors.exposeHeaders has "*": expected the names, since with credentials'),
    ]);
  });

  it.each([
    ['cors: off', 'any'],
    ['cors: { origins: ["https://b.example"] }', 'any'],
    ['cors: { credentials: false }', 'any'],
    ['cors: { methods: [GET] }', 'any'],
    ['cors: { allowHeaders: [X-A] }', 'any'],
    ['cors: { origins: ["https://a.example", "https://b.example"] }', 'exact'],
    ['cors: { maxAge: 1s }', 'exact'],
  ])('%s makes a route count for %s spelling of its path', (route, spelling) => {
    const outer = 'cors: { origins: ["https://a.example"], credentials: true }';
    expect(corsOf(outer, '', route).route).toMatchObject({ spelling });
  });
});
