import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { externalChain, internalChain } from '../../../gateway/apps.ts';
import { readRequest } from '../../../gateway/explain/asked.ts';
import { Explainer } from '../../../gateway/explain/explain.ts';
import type { Explanation } from '../../../gateway/explain/explanation.ts';
import { loadExplained } from '../../../gateway/explain/load.ts';
import { STAGE_FACTS } from '../../../gateway/explain/stageFacts.ts';
import type { Port } from '../../../gateway/port.ts';

const ROOT = join(import.meta.dirname, '../../..');
const FILE = `defaults:
  timeouts: { request: 5s }
services:
  - name: budgeting
    path: /budgeting
    upstreams: ["http://budgeting-service:8087"]
    timeouts:
      idle: 20s
    routes:
      - match: { methods: [GET], path: /catalog/** }
        auth: none
      - match: { path: /catalog/drafts/** }
        auth: required
      - match: { methods: [POST], path: /uploads }
        cache: off
routes:
  - match: { host: api.faf.example, path: /api/orders/:id }
    service: budgeting
    rewrite: /orders/:id
  - match: { path: /office }
    service: budgeting
    allow: ["10.0.0.0/8"]
    headers: { request: { set: { X-Key: "s3cret" }, remove: [X-Debug] } }
    host: upstream
    auth: { sources: ["cookie:session"] }
  - match: { path: /old/** }
    redirect: { to: /new/**, status: 308 }
  - match: { path: /booking/** }
    respond: { status: 503, retryAfter: 10m }
  - match: { path: /only, methods: [PUT] }
    service: budgeting
    cors: { origins: ["https://app.faf.example"] }
`;

// Each run of the command is a process.
jest.setTimeout(60_000);

let directory: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'gateway-explain-'));
  writeFileSync(join(directory, 'gateway.yaml'), FILE);
  writeFileSync(join(directory, '.env'), 'BODY_TIMEOUT=7s\n');
});
afterAll(() => rmSync(directory, { recursive: true }));

const DOTENV = { BODY_TIMEOUT: '7s' };
const ENV = {
  JWT_SECRET: 'hunter2hunter2',
  REDIS_URL: 'redis://:hunter2@127.0.0.1:1',
  SERVICE_DISCOVERY_URL: 'http://127.0.0.1:1',
  AUTH_ISSUE_PATHS: '/budgeting/in',
  AUTH_REVOKE_PATHS: '/budgeting/out',
  AUTH_QUERY_TOKEN_PATHS: '/budgeting/hub',
  GET_CACHE_TTL: '20s',
};

/** Runs the command as people do, in an environment of these variables alone. */
function explain(args: readonly string[], env: NodeJS.ProcessEnv = ENV) {
  const command = [join(ROOT, 'gateway/explain/main.ts'), ...args];
  return spawnSync(process.execPath, command, { cwd: directory, env, encoding: 'utf8' });
}

interface Given {
  readonly headers?: readonly string[];
  readonly port?: Port;
  readonly from?: string;
}

/** What it says, found in this process. */
async function explained(
  words: readonly string[],
  { headers = [], port = 'external', from }: Given = {},
): Promise<Explanation> {
  const env = { ...ENV, GATEWAY_FILE: join(directory, 'gateway.yaml') };
  const explainer = await Explainer.create(loadExplained({ env, dotenv: DOTENV }), port);
  try {
    const explanation = await explainer.explain(readRequest(words, headers, from));
    return JSON.parse(JSON.stringify(explanation).replaceAll(`${directory}/`, ''));
  } finally {
    explainer.dispose();
  }
}

const valueIn = ({ stages }: Explanation, name: string) =>
  stages.flatMap(({ values }) => values).find((value) => value.name === name);

describe('npm run explain', () => {
  it('says which route it is, why that one, what becomes of it, and where each value was said', async () => {
    const found = await explained(['GET', 'https://x/budgeting/catalog/drafts/7?a=1'], {
      headers: ['Authorization: Bearer s3cret'],
    });
    expect(found).toMatchObject({
      request: { port: 'external', method: 'GET', host: 'x', target: '/budgeting/catalog/drafts/7?a=1' },
      outcome: { kind: 'forward' },
      route: { name: '/budgeting/catalog/drafts/**', spelling: 'any', place: 'gateway.yaml:12:9' },
      beaten: [
        { name: 'GET /budgeting/catalog/**', reason: 'at segment 3 it has drafts, and the other **' },
        { name: '/budgeting/**', reason: 'at segment 2 it has catalog, and the other **' },
      ],
      upstream: {
        service: '/budgeting',
        target: '/catalog/drafts/7?a=1',
        cut: '/budgeting',
        replicas: ['http://budgeting-service:8087'],
        choice: { reason: 'by load' },
        registry: 'SERVICE_DISCOVERY_URL http://127.0.0.1:1',
        fieldsRemoved: ['Authorization'],
      },
      cache: { handling: 'lookup', key: { service: '/budgeting', audiences: ['identity', 'everyone'] } },
    });
    expect(found.upstream?.fieldsAdded).toEqual(
      expect.arrayContaining(['X-Auth-Subject', 'X-Forwarded-Prefix', 'Via']),
    );
    expect(
      ['auth', 'timeouts.request', 'timeouts.idle', 'BODY_TIMEOUT', 'cache.ttl'].map((name) =>
        valueIn(found, name),
      ),
    ).toEqual([
      { name: 'auth', value: 'required', from: { level: 'route', place: 'gateway.yaml:13:9' } },
      { name: 'timeouts.request', value: '5s', from: { level: 'defaults', place: 'gateway.yaml:2:15' } },
      { name: 'timeouts.idle', value: '20s', from: { level: 'service', place: 'gateway.yaml:8:7' } },
      { name: 'BODY_TIMEOUT', value: '7s', from: { level: '.env' } },
      { name: 'cache.ttl', value: '20s', from: { level: 'environment', variable: 'GET_CACHE_TTL' } },
    ]);
  });

  it('has all stages of the chain in its order, those that are not in it with the reason', async () => {
    const { stages } = await explained(['GET', 'http://x/budgeting/catalog/7']);
    expect(stages.map(({ name }) => name)).toEqual(externalChain.map(({ name }) => name));
    expect(stages.filter(({ isThere }) => !isThere).map(({ name, note }) => [name, note])).toEqual([
      ['headers', 'neither headers.response nor security is set'],
      ['stickyCookie', 'no cookie keeps clients at their replicas'],
      ['compression', 'compress is off'],
      ['cors', 'no cors is set'],
      ['addresses', 'neither allow nor deny is set'],
      ['cookieToken', 'no source of auth is a cookie'],
      ['apiKey', 'no source of auth is an API key'],
      ['addressRateLimit', 'neither RATE_LIMIT_PER_ADDRESS nor a limits.rate per address is set'],
      [
        'rateLimit',
        'neither RATE_LIMIT_PER_IDENTITY nor a limits.rate per identity, service or route is set',
      ],
      ['mirror', 'no mirror is set, or it is this service'],
    ]);
    expect(stages.find(({ name }) => name === 'auth')?.note).toBe('nobody is asked for a token');
  });

  it('says that a request without a token goes no further than to auth', async () => {
    const found = await explained(['GET', 'http://x/budgeting/catalog/drafts/7']);
    expect(found.outcome.reason).toContain('401');
    expect(found.cache).toBeUndefined();
    const login = await explained(['POST', 'http://x/budgeting/in']);
    expect(login.outcome).toEqual({ kind: 'forward' });
  });

  it.each([
    ['GET', 'http://x/nobody', { kind: 'refuse', status: 404, code: 'no_such_service' }],
    ['GET', 'http://x/budgeting/a/../b', { kind: 'refuse', status: 400, code: 'bad_request' }],
    ['GET', 'http://x/only', { kind: 'refuse', status: 405, code: 'method_not_allowed', allow: 'PUT' }],
    ['TRACE', 'http://x/budgeting', { kind: 'refuse', status: 405 }],
    ['FETCH', 'http://x/budgeting', { kind: 'refuse', status: 501, code: 'method_not_implemented' }],
    ['GET', 'http://x/old/a?b', { kind: 'redirect', status: 308, location: '/new/a?b' }],
    ['GET', 'http://x/booking', { kind: 'respond', status: 503 }],
    ['GET', 'http://x/readyz', { kind: 'own' }],
  ])('%s %s is %j', async (method, url, outcome) => {
    const found = await explained([method, url]);
    expect(found).toMatchObject({ outcome, stages: [] });
    if (outcome.kind === 'refuse') expect(found.outcome.reason).toBeTruthy();
  });

  it('names the host of a request that no parser reads', async () => {
    const { request, outcome } = await explained(['get', 'http://x/budgeting']);
    expect(outcome.kind).toBe('refuse');
    expect(request).toMatchObject({ method: 'get', host: 'x', target: '/budgeting' });
  });

  it('says which routes of the path are not for the request', async () => {
    expect((await explained(['GET', 'http://x/only'])).unmatched).toEqual([
      { name: 'PUT /only', reason: 'it is for PUT' },
    ]);
  });

  it('tries the address of the client where it is given', async () => {
    expect((await explained(['GET', 'http://x/office'])).outcome.kind).toBe('forward');
    expect((await explained(['GET', 'http://x/office'], { from: '10.1.2.3' })).outcome.kind).toBe('forward');
    const refused = await explained(['GET', 'http://x/office'], { from: '192.0.2.1' });
    expect(refused.outcome).toMatchObject({ kind: 'refuse', status: 403 });
    expect(() => readRequest(['GET', 'http://x/office'], [], 'home')).toThrow('--from must be an IP address');
  });

  it('takes tokens from where auth says, and shows none of them', async () => {
    const headers = ['Cookie: session=s3cret; a=b', 'Authorization: Bearer s3cret', 'X-Debug: 1'];
    const found = await explained(['GET', 'http://x/office'], { headers });
    expect(found.outcome).toEqual({ kind: 'forward' });
    expect(found.cache?.key?.audiences).toEqual(['identity', 'everyone']);
    expect(found.upstream?.fieldsAdded).toContain('X-Key');
    expect(found.upstream?.fieldsRemoved).toEqual(['Authorization', 'X-Debug']);
    expect(valueIn(found, 'headers.request.set.x-key')).toMatchObject({
      value: '(set)',
      from: { level: 'route' },
    });
    expect(valueIn(found, 'headers.request.remove')).toMatchObject({
      value: expect.stringMatching(/x-debug/i),
    });
    expect(valueIn(found, 'host')).toMatchObject({ value: '"upstream"' });
    expect(
      (await explained(['GET', 'http://x/office'], { headers: headers.slice(1) })).outcome.reason,
    ).toContain('401');
    expect(JSON.stringify(found)).not.toContain('s3cret');
  });

  it('finds the route of the method that a preflight asks for', async () => {
    const headers = ['Origin: https://app.faf.example', 'Access-Control-Request-Method: PUT'];
    const found = await explained(['OPTIONS', 'http://x/only'], { headers });
    expect(found).toMatchObject({
      outcome: { kind: 'preflight', status: 204 },
      route: { name: 'PUT /only' },
    });
  });

  it('shows policies as they are written where it has no words for them', async () => {
    const found = await explained(['PUT', 'http://x/only']);
    expect(valueIn(found, 'cors.origins')).toEqual({
      name: 'cors.origins',
      value: '["https://app.faf.example"]',
      from: { level: 'route', place: 'gateway.yaml:32:13' },
    });
  });

  it('rewrites', async () => {
    const found = await explained(['GET', 'https://api.faf.example/api/orders/7?x=1']);
    expect(found.upstream).toMatchObject({ target: '/orders/7?x=1', rewrite: '/orders/:id' });
  });

  it('knows the internal port, which has no routes, tokens and cache', async () => {
    const found = await explained(['http://gateway:8001/internal/budgeting/catalog/7'], { port: 'internal' });
    expect(found).toMatchObject({
      request: { port: 'internal', method: 'GET' },
      outcome: { kind: 'forward' },
      upstream: { target: '/catalog/7' },
    });
    expect(found.stages.map(({ name }) => name)).toEqual(internalChain.map(({ name }) => name));
    expect(found.route).toBeUndefined();
    expect(found.cache).toBeUndefined();
    const admin = await explained(['http://gateway:8001/admin/cache'], { port: 'internal' });
    expect(admin.outcome.kind).toBe('refuse');
  });

  it('prints lines of 120 characters for people, without colours where nobody sees them', () => {
    const { status, stdout } = explain(['POST', 'http://x/budgeting/uploads']);
    expect(status).toBe(0);
    expect(stdout).toContain('  POST /budgeting/uploads (gateway.yaml:14:9), for any spelling of its path');
    expect(stdout).toMatch(/^ {2}cache +cache +off {2}\[route, gateway\.yaml:15:9\]$/m);
    expect(stdout).toContain('replicas: from the registry (SERVICE_DISCOVERY_URL http://127.0.0.1:1)');
    expect(stdout.split('\n').filter((line) => line.length > 120)).toEqual([]);
    expect(stdout).not.toContain('\u001b');
  });

  it('shows no secret, and writes no file', () => {
    const args = [
      'GET',
      'http://x/budgeting/hub?access_token=s3cret&a=1',
      '-H',
      'Cookie: id=s3cret',
      '-H',
      'Authorization: Bearer s3cret',
    ];
    for (const more of [[], ['--json']]) {
      const { stdout, stderr } = explain([...args, ...more]);
      expect(stdout).toContain('/budgeting/hub?a=1');
      if (more.length > 0) expect(JSON.parse(stdout)).toMatchObject({ outcome: { kind: 'forward' } });
      expect(stdout + stderr).not.toMatch(/s3cret|hunter2/);
    }
    expect(readdirSync(directory).sort()).toEqual(['.env', 'gateway.yaml']);
  });

  it.each<[string[], string[]?]>([
    [['GET']],
    [['GET', 'budgeting/x']],
    [['GET', 'http://x/a b']],
    [['GET', 'http://user:pw@x/a']],
    [['G T', 'http://x/a']],
    [['GET', 'http://x/a', 'more']],
    [[]],
    [['GET', 'http://x/a'], ['no field']],
    [['GET', 'http://x/a'], ['A: b\r\nC: d']],
  ])('refuses %j with what is expected', (words, headers = []) => {
    expect(() => readRequest(words, headers)).toThrow(/^expected /);
  });

  it.each([
    [['GET', 'http://x/a', '-H', 'no field'], "expected -H 'Name: value'"],
    [['GET', 'http://x/a', '--port', 'other'], '--port must be external or internal'],
    [['GET', 'http://x/a', '--yaml'], 'See --help'],
  ])('exits with 2 for %j, and says why in a line', (args, reason) => {
    const { status, stdout, stderr } = explain(args);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(stderr).toContain(reason);
  });

  it('lists everything that is wrong with the settings', () => {
    const { status, stdout, stderr } = explain(['GET', 'http://x/a'], {
      REQUEST_TIMEOUT: 'soon',
      LOG_LEVEL: 'loud',
    });
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toContain('REQUEST_TIMEOUT is "soon"');
    expect(stderr).toContain('LOG_LEVEL is "loud"');
    expect(stderr).not.toMatch(/^\s+at /m);
  });
});

it('every stage is explained', () => {
  const stages = new Set([...externalChain, ...internalChain].map(({ name }) => name));
  expect([...stages].filter((name) => STAGE_FACTS[name] === undefined)).toEqual([]);
});
