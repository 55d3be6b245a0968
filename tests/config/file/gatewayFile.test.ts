import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Ajv } from 'ajv';
import { loadSettings } from '../../../config/config.ts';
import { defineGateway } from '../../../config/file/defineGateway.ts';
import { evaluateWithin } from '../../../config/file/evaluate.ts';
import { JSON_SCHEMA, jsonSchema } from '../../../config/file/jsonSchema.ts';
import { settingsWarnings } from '../../../config/report/warnings.ts';
import type { Service } from '../../../config/sections/services.ts';
import { JWT_SECRET, load, problemsOf } from '../../support/gateway/settings.ts';

const ONE = 'services: [{ name: a, path: /a, upstreams: [http://a] }]';

function inYaml(
  text: string,
  env: NodeJS.ProcessEnv = {},
): { services: readonly Service[]; problems: readonly string[] } {
  const files = { 'gateway.yaml': text };
  const problems = problemsOf(env, files);
  return { problems, services: problems.length > 0 ? [] : load(env, files).services };
}

describe('a file in YAML', () => {
  it('says of every mistake where it is', () => {
    const text = `
defaults:
  timeouts: { request: soon }
services:
  - name: orders
    path: /orders
    upstreams:
      - http://orders
      - orders:80
    limits:
      concurency: 5
      streams: -1
  - path: /b
    chache: off
`;
    expect(inYaml(text).problems).toEqual([
      'gateway.yaml:3:15: defaults.timeouts.request is "soon": expected a duration such as 500ms, 3s or 1m30s (from 1ms to 24d)',
      'gateway.yaml:9:9: services[0].upstreams[1] is "orders:80": expected an address such as http://budgeting-service:8087, perhaps with a path that goes before all others',
      'gateway.yaml:12:7: services[0].limits.streams is -1: expected a whole number from 0 to 1000000',
      'gateway.yaml:11:7: services[0].limits.concurency is not known: did you mean concurrency?',
      'gateway.yaml:13:5: services[1].name is missing: expected a name of letters, digits, dots, dashes and underscores',
      expect.stringContaining(
        'gateway.yaml:14:5: services[1].chache is not known: expected one of name, path, ',
      ),
    ]);
  });

  it.each([
    ['', 'gateway.yaml: the file is empty: expected services'],
    [
      '  \n# nothing\n',
      'gateway.yaml:1:1: the file is empty: expected an object such as { services: [...] }',
    ],
    ['hunter2', 'gateway.yaml:1:1: the file is one text: expected an object such as { services: [...] }'],
    ['services:\n\t- name: a', 'gateway.yaml:2:1: expected YAML: a tab indents this line: expected blanks'],
    [
      'services: [',
      'gateway.yaml:1:12: expected YAML: Flow sequence in block collection must be sufficiently indented and end with a ]',
    ],
    ['services: []\nservices: []', 'gateway.yaml:2:1: expected YAML: Map keys must be unique'],
    [
      'services: !!js/function x',
      'gateway.yaml:1:11: expected YAML: Unresolved tag: tag:yaml.org,2002:js/function',
    ],
    [
      'a: 1\n---\nb: 2',
      'gateway.yaml:2:1: expected YAML: Source contains multiple documents; please use YAML.parseAllDocuments()',
    ],
    [
      'services: *nobody',
      'gateway.yaml: expected YAML: Unresolved alias (the anchor must be set before the alias): nobody',
    ],
  ])('is refused when it is %j', (text, problem) => {
    expect(inYaml(text).problems).toEqual([problem]);
  });

  it.each(['constructor', 'toString', 'valueOf', 'hasOwnProperty', '__proto__'])(
    'says where %s stands, which every object has anyway',
    (name) => {
      const inside = (text: string) => `{"${name}": 1, "services": [\n{"name": "a", "path": "/a", ${text}}]}`;
      const files = [
        inside(`"upstreams": ["http://a"],\n"${name}": {}, "timeouts": {\n"${name}": "x"}`),
        inside(
          `"upstreams": ["http://a"],\n"routes": [{"${name}": 1,\n"match": {"${name}": {"x": 1}, "path": "/"}}]`,
        ),
      ];
      const expected = [
        [`1:2: ${name}`, `3:1: services[0].${name}`, `4:1: services[0].timeouts.${name}`],
        [`1:2: ${name}`, `3:13: services[0].routes[0].${name}`, `4:11: services[0].routes[0].match.${name}`],
      ];
      for (const [index, text] of files.entries()) {
        for (const file of ['gateway.yaml', 'gateway.json']) {
          const known = expected[index]?.map((each) =>
            expect.stringContaining(`${file}:${each} is not known: expected one of `),
          );
          const problems = problemsOf({}, { [file]: text });
          expect(problems).toEqual(expect.arrayContaining(known ?? []));
          expect(problems).toHaveLength(3);
        }
      }
    },
  );

  it('has no __proto__ where any other name may stand, as nothing would come of it', () => {
    const one = '{ name: a, path: /a, upstreams: [http://a],';
    expect(inYaml(`services:\n- ${one} headers: { request: { set: { __proto__: x } } } }`).problems).toEqual([
      'gateway.yaml:2:76: services[0].headers.request.set.__proto__ is not known: expected another name',
    ]);
    expect(
      inYaml(`services:\n- ${one} routes: [{ match: { path: /x, headers: { __proto__: x } } }] }`).problems,
    ).toEqual([
      'gateway.yaml:2:88: services[0].routes[0].match.headers.__proto__ is not known: expected another name',
    ]);
    expect(
      inYaml(`services:\n- ${one} headers: { request: { set: { constructor: x } } } }`).problems,
    ).toEqual([]);
  });

  it('gives services what its defaults say, maps merged, everything else replaced', () => {
    const { services } = inYaml(
      `
defaults:
  timeouts: { request: 5s, idle: 20s }
  limits: { concurrency: 7, body: 1MiB }
  cache: { ttl: 1m, shared: false }
  breaker: off
services:
  - { name: a, path: /a, upstreams: [http://a] }
  - { name: b, path: /b, upstreams: [http://b], timeouts: { request: 1s }, limits: { body: 0 }, cache: { ttl: 0 }, breaker: true }
  - { name: c, path: /c, upstreams: [http://c], cache: off }
  - { name: d, path: /d, upstreams: [http://d], cache: false }
`,
      { REQUEST_TIMEOUT: '2s', SERVICE_STREAMS: '9' },
    );
    const shown = services.map(
      ({
        requestTimeoutMs,
        idleTimeoutMs,
        concurrency,
        streams,
        maxBodyBytes,
        cacheTtlMs,
        cacheShared,
        breaker,
      }) => [
        ...[
          requestTimeoutMs,
          idleTimeoutMs,
          concurrency,
          streams,
          maxBodyBytes,
          cacheTtlMs,
          cacheShared,
          breaker !== undefined,
        ],
      ],
    );
    expect(shown).toEqual([
      [5000, 20_000, 7, 9, 2 ** 20, 60_000, false, false],
      [1000, 20_000, 7, 9, 0, 0, false, true],
      [5000, 20_000, 7, 9, 2 ** 20, 'off', true, false],
      [5000, 20_000, 7, 9, 2 ** 20, 'off', true, false],
    ]);
  });

  it('without services has the built-in ones, with its defaults', () => {
    const { services } = inYaml('defaults: { timeouts: { request: 9s } }');
    expect(services).toHaveLength(10);
    expect(services.every(({ requestTimeoutMs }) => requestTimeoutMs === 9000)).toBe(true);
  });

  it('may have what stands in the environment in its strings', () => {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: that is how files have it.
    const text = 'services: [{ name: a, path: "/${NAME}", upstreams: ["http://${HOST:-a}:${PORT:-80}"] }]';
    expect(inYaml(text, { NAME: 'x', PORT: '81' }).services[0]).toMatchObject({
      path: '/x',
      upstreams: ['http://a:81'],
    });
    expect(inYaml(text, { NAME: '' }).problems).toEqual([
      // biome-ignore lint/suspicious/noTemplateCurlyInString: that is how files have it.
      'gateway.yaml:1:23: services[0].path names ${NAME}, which is not set: expected the variable, or ${NAME:-a default}',
    ]);
    expect(inYaml(text, { NAME: 'hunter2/x' }).problems.join()).not.toContain('hunter2');
  });
});

describe('the file', () => {
  it('is one of those in the working directory, where none is named', () => {
    for (const name of ['gateway.yaml', 'gateway.json']) {
      const text = name.endsWith('json')
        ? '{"services":[{"name":"a","path":"/a","upstreams":["http://a"]}]}'
        : ONE;
      expect(load({}, { [name]: text }).gatewayFile).toBe(name);
    }
    expect(load({}).gatewayFile).toBe(undefined);
    expect(load({ GATEWAY_FILE: 'other.yml' }, { 'other.yml': ONE, 'gateway.yaml': '' }).gatewayFile).toBe(
      'other.yml',
    );
  });

  it('is not guessed where two are there', () => {
    expect(problemsOf({}, { 'gateway.yaml': ONE, 'gateway.json': '{}' })).toEqual([
      'gateway.yaml and gateway.json are in the working directory: expected one of them, or GATEWAY_FILE to name one',
    ]);
  });

  it('must be what its ending says', () => {
    expect(problemsOf({ GATEWAY_FILE: 'gateway.toml' }, { 'gateway.toml': ONE })).toEqual([
      'GATEWAY_FILE is "gateway.toml": expected a name that ends in .ts, .yaml, .yml, .json',
    ]);
    expect(problemsOf({}, { 'gateway.json': ONE })).toEqual([
      'gateway.json:1:1: expected JSON; there is a mistake here',
    ]);
    expect(problemsOf({}, { 'gateway.json': '{"services": [],\n "services": []}' })).toEqual([
      'gateway.json:2:2: this name is there twice',
    ]);
    expect(problemsOf({}, { 'gateway.json': '{"services": [' })).toEqual([
      'gateway.json:1:15: expected JSON; there is a mistake here',
    ]);
  });

  it('takes the place of SERVICES_FILE', () => {
    expect(problemsOf({ SERVICES_FILE: 'services.json' })).toEqual([
      'SERVICES_FILE is no setting any more: write GATEWAY_FILE=services.json (docs/routes.md says what it holds)',
    ]);
  });

  it('is named where its defaults take the place of a variable', () => {
    const env = { JWT_SECRET, REQUEST_TIMEOUT: '2s', GET_CACHE_TTL: '2s', PER_SERVICE_LIMIT: '5' };
    const files = { 'gateway.yaml': `defaults: { timeouts: { request: 3s }, cache: off }\n${ONE}` };
    const warnings = settingsWarnings({ env, dotenv: {}, settings: load(env, files) });
    expect(warnings.filter((warning) => warning.includes('gateway.yaml'))).toEqual([
      'REQUEST_TIMEOUT is set and does nothing: the defaults of gateway.yaml take its place',
      'GET_CACHE_TTL is set and does nothing: the defaults of gateway.yaml take its place',
    ]);
  });
});

describe('a file in TypeScript', () => {
  let directory: string;
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'gateway-file-'));
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  function write(text: string): string {
    const path = join(directory, `${Math.random()}.ts`);
    writeFileSync(path, text);
    return path;
  }

  it('says the same as the others', () => {
    const definition = defineGateway({
      services: [{ name: 'a', path: '/a', upstreams: ['http://a'], cache: 'off' }],
    });
    const path = write(`
      interface Own { readonly name: string }
      const own: Own = { name: 'a' };
      console.log('not to be seen');
      export default { services: [{ ...own, path: '/a', upstreams: ['http://a'], cache: 'off' as const }] };
    `);
    expect(evaluateWithin(path, 60_000)).toEqual({ value: definition });
    expect(loadSettings({ JWT_SECRET, GATEWAY_FILE: path }).services[0]).toMatchObject({
      path: '/a',
      cacheTtlMs: 'off',
    });
  });

  it.each([
    [
      'await new Promise(() => {});',
      'it ends before it exports anything: expected export default { services: [...] }',
      '',
    ],
    [
      'process.exit(0);',
      'it ends before it exports anything: expected export default { services: [...] }',
      '',
    ],
    ["throw new Error('no such thing\\nhunter2');", 'it cannot be evaluated: no such thing', ':1:7'],
    ['export const a = 1;', 'it has no default export: expected export default { services: [...] }', ''],
    [
      'export default { services: [{ name: () => 1 }] };',
      'it cannot be evaluated: name is a function: expected data',
      '',
    ],
    ["import './nowhere.ts';", expect.stringContaining('it cannot be evaluated: Cannot find module'), ''],
    ['export default {', expect.stringMatching(/^it cannot be evaluated: ./), expect.any(String)],
    ['export default { a: 1 } as', expect.stringMatching(/^it cannot be evaluated: ./), expect.any(String)],
  ])('that says %j is refused', (text, problem, place) => {
    expect(evaluateWithin(write(text), 60_000)).toEqual({ problem, place });
  });

  it.each([
    ['never ends its wait', 'setInterval(() => {}, 1e6); await new Promise(() => {}); export default {};'],
    ['never returns', 'for (;;);'],
  ])('that %s is given up', (_, text) => {
    const path = write(text);
    expect(evaluateWithin(path, 300)).toEqual({
      problem:
        'it has not exported anything after 0.3 s: expected one that does not wait, such as at a top-level await',
      place: '',
    });
  });
});

it('the JSON Schema is that of the file, and knows what the gateway knows', () => {
  expect(readFileSync(JSON_SCHEMA, 'utf8')).toBe(jsonSchema());
  const validate = new Ajv({ strict: false }).compile(JSON.parse(jsonSchema()));
  const service = { name: 'a', path: '/a' };
  expect(validate({ services: [{ ...service, limits: { body: 1024 }, cache: 'off' }] })).toBe(true);
  expect(validate({ services: [{ ...service, limits: { bodi: 1024 } }] })).toBe(false);
  expect(validate({ service: [] })).toBe(false);
});

describe('routes of a service', () => {
  const withRoutes = (routes: string, more = '') =>
    inYaml(`services: [{ name: a, path: /a, upstreams: [http://a], ${more} routes: [${routes}] }]`);

  it('inherit from it, and are for their own spelling or for any', () => {
    const { services } = withRoutes(
      `{ match: { path: /, methods: [GET] }, auth: none },
       { match: { path: "/x/:id", host: "*.Faf.example" }, timeouts: { idle: 1s }, limits: { body: 1KiB }, cache: { ttl: 9s } },
       { match: { path: /y, headers: { x-version: "2" }, priority: 3 }, cache: off, auth: optional }`,
      'timeouts: { request: 7s }, cache: { shared: false },',
    );
    const routes = services[0]?.routes ?? [];
    expect(routes.map(({ name, spelling }) => `${spelling} ${name}`)).toEqual([
      'exact GET /a',
      'any *.faf.example/a/x/:id',
      'any /a/y x-version=2 priority 3',
      'any /a/**',
    ]);
    const [first, second, third, rest] = routes.map(({ settings }) => settings);
    expect(first).toMatchObject({
      auth: { need: 'none' },
      requestTimeoutMs: 7000,
      idleTimeoutMs: 10_000,
      maxBodyBytes: 0,
      cacheTtlMs: 30_000,
      cacheShared: false,
    });
    expect(second).toEqual({
      ...first,
      auth: { need: 'required' },
      idleTimeoutMs: 1000,
      maxBodyBytes: 1024,
      cacheTtlMs: 9000,
    });
    expect(third).toMatchObject({ auth: { need: 'optional' }, cacheTtlMs: 'off' });
    expect(rest).toEqual({ ...first, auth: { need: 'required' } });
  });

  it.each([
    ['{ match: { path: /x }, timeouts: { request: 2m } }', 'exact'],
    ['{ match: { path: /x }, limits: { body: 2GiB } }', 'any'],
    ['{ match: { path: /x }, timeouts: { request: 1s } }', 'any'],
    ['{ match: { path: /x }, cache: off }', 'any'],
  ])('%s is for %s spelling', (route, spelling) => {
    expect(withRoutes(route).services[0]?.routes[0]?.spelling).toBe(spelling);
  });

  it('are none where there are none', () => {
    expect(withRoutes('').services[0]?.routes).toEqual([]);
  });

  it.each([
    [
      '{ match: { path: x } }',
      'match.path is "x": expected a path that starts with a slash, such as /orders/:id',
    ],
    [
      '{ match: { path: "/**/x" } }',
      'match.path is "/**/x": expected ** at the end of the path alone; in the middle * is one segment',
    ],
    [
      '{ match: { path: /x, methods: [get] } }',
      'match.methods[0] is "get": expected a list of methods in upper case, such as [GET, POST]',
    ],
    [
      '{ match: { path: /x, methods: [] } }',
      'match.methods is []: expected a list of methods in upper case, such as [GET, POST]',
    ],
    [
      '{ match: { path: /x, host: "a:80" } }',
      'match.host is "a:80": expected a host such as api.faf.example or *.faf.example, without a port',
    ],
    ['{ match: { path: /x, method: GET } }', 'match.method is not known: did you mean methods?'],
    [
      '{ match: { path: /x, headers: { X-A: b } } }',
      'match.headers.X-A is not known: expected the name of a field in lower case, other than host',
    ],
    ['{ match: { path: /x }, auth: off }', 'auth is "off": expected required, optional, none or an object'],
    ['{ auth: none }', 'match is missing: expected an object with a path'],
  ])('%s is refused', (route, problem) => {
    expect(withRoutes(route).problems.map((each) => each.replace(/^\S+ /, ''))).toEqual([
      `services[0].routes[0].${problem}`,
    ]);
  });

  it('count where the settings are compared', () => {
    const env = { JWT_SECRET, DRAIN_TIMEOUT: '10s', CACHE_STALE_IF_ERROR: '1s' };
    const files = {
      'gateway.yaml': `defaults: { cache: off }
services: [{ name: a, path: /a, upstreams: [http://a], routes: [{ match: { path: /x }, timeouts: { request: 2m }, cache: { ttl: 1s } }] }]`,
    };
    const warnings = settingsWarnings({ env, dotenv: {}, settings: load(env, files) });
    expect(warnings.filter((warning) => /^(DRAIN|CACHE)/.test(warning))).toEqual([
      expect.stringContaining('DRAIN_TIMEOUT is 10s and a request may take 2m'),
    ]);
  });

  it('that are equal are both named', () => {
    expect(
      withRoutes('{ match: { path: /x/:id } }, { match: { path: /y } }, { match: { path: /x/* } }').problems,
    ).toEqual([
      expect.stringMatching(
        /^gateway.yaml:1:\d+: services\[0\]\.routes\[2\]\.match is equal to services\[0\]\.routes\[0\]\.match, and one request can match both: expected a higher priority for one of them$/,
      ),
    ]);
  });
});
