import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { reportSettings } from '../../config/check.ts';
import { readDotenv, readEnvironment } from '../../config/environment.ts';
import { listVariables } from '../../config/variables.ts';

const ROOT = join(import.meta.dirname, '../..');
let directory: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'gateway-config-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

/** Runs `npm run config:check` in a directory of its own, in an environment of just these variables. */
function check({
  env = {},
  dotenv = '',
  args = [],
}: {
  env?: NodeJS.ProcessEnv;
  dotenv?: string;
  args?: string[];
}) {
  writeFileSync(join(directory, '.env'), dotenv);
  const command = [join(ROOT, 'config/check.ts'), ...args];
  return spawnSync(process.execPath, command, { cwd: directory, env, encoding: 'utf8' });
}

/** The rest of the line that starts with `name`, blanks folded. */
function row(report: string, name: string): string | undefined {
  return new RegExp(`^${name} +(.*)$`, 'm').exec(report)?.[1]?.replace(/ {2,}/g, ' ');
}

describe('config:check', () => {
  test('prints each setting, its value as typed, and where it comes from', () => {
    const { status, stdout, stderr } = check({
      env: { REQUEST_TIMEOUT: '2s', LOG_LEVEL: 'debug' },
      dotenv: 'JWT_SECRET=hunter2\nLOG_LEVEL=warn\nGET_CACHE_TTL=1m30s\n',
    });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(row(stdout, 'REQUEST_TIMEOUT')).toBe('2s environment');
    expect(row(stdout, 'LOG_LEVEL')).toBe('debug environment');
    expect(row(stdout, 'GET_CACHE_TTL')).toBe('1m30s .env');
    expect(row(stdout, 'AUTH_CACHE_TTL')).toBe('60s default');
    expect(row(stdout, 'CIRCUIT_BREAKER_WINDOW')).toBe('7s default');
    expect(row(stdout, 'JWT_SECRET')).toBe('(set, 7 bytes) .env');
    expect(row(stdout, 'budgeting')).toMatch('/budgeting http://budgeting-service:8087 10 100 2s 1m30s cut');
    expect(stdout).not.toContain('hunter2');
  });

  test('has a row for every setting', () => {
    const { stdout } = check({ dotenv: 'JWT_SECRET=x' });
    for (const [, { name }] of listVariables()) expect(row(stdout, name)).toBeDefined();
  });

  test('prints every problem to stderr and fails', () => {
    const { status, stdout, stderr } = check({ env: { REQUEST_TIMEOUT: 'soon' }, dotenv: 'LOG_LEVL=info' });
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr.trim().split('\n')).toHaveLength(4);
  });

  test('says below the table what is set and does nothing, and goes on', () => {
    const { status, stdout } = check({ env: { BREAKER_SHARED: 'true' }, dotenv: 'JWT_SECRET=x\nSHARDS=3' });
    expect(status).toBe(0);
    expect(stdout.split('\n').filter((line) => line.startsWith('Warning: '))).toEqual([
      'Warning: SHARDS in .env is not a setting of the gateway: it does nothing',
      expect.stringContaining('Warning: BREAKER_SHARED is set and does nothing'),
    ]);
  });

  test('lists routes in the order in which they win, with what differs somewhere and what is inherited', () => {
    const file = `
services:
  - name: shop
    path: /shop
    upstreams: ["http://shop:1"]
    cache: { ttl: 5s }
    routes:
      - match: { path: /** , methods: [GET] }
        timeouts: { request: 2m }
      - match: { path: /a/:id }
        auth: none
        cache: off
routes:
  - match: { path: /new/**, host: a.test }
    service: shop
    rewrite: /**
  - match: { path: /old/** }
    redirect: { to: /new/** }
`;
    const readFile = (path: string) => {
      if (path === 'gateway.yaml') return file;
      throw Object.assign(new Error(`no ${path}`), { code: 'ENOENT' });
    };
    const env = { JWT_SECRET: 'x', AUTH_ISSUE_PATHS: '/shop/in', AUTH_REVOKE_PATHS: '/shop/out' };
    const lines = (width: (text: string) => string) =>
      reportSettings({ env, dotenv: {}, readFile, emphasis: width }).split('\n');
    const report = lines((text) => text);
    const at = report.findIndex((line) => line.startsWith('ROUTE'));
    expect(report.slice(at, at + 7)).toEqual([
      'ROUTE          DOES            SPELLING  AUTH        TIMEOUT  CACHE',
      'a.test/new/**  /shop as /**    any       (required)  (3s)     (5s)',
      '/old/**        307 to /new/**  exact     -           -        -',
      '/shop/a/:id    /shop           exact     none        (3s)     off',
      'GET /shop/**   /shop           any       (required)  2m       (5s)',
      '/shop/**       /shop           any       (required)  (3s)     (5s)',
      '(...) is inherited. The first of the routes that a request matches counts.',
    ]);
    expect(lines((text) => `<${text}>`).filter((line) => line.startsWith('<'))).toHaveLength(3);
  });

  test('shows what few services have where one of them has it', () => {
    const headingsOf = (more: string) => {
      const text = `services: [{ name: a, path: /a, upstreams: ["http://a"]${more} }, { name: b, path: /b, upstreams: ["http://b"] }]`;
      const env = { JWT_SECRET: 'x'.repeat(40), GATEWAY_FILE: 'gateway.yaml' };
      const lines = reportSettings({ env, dotenv: {}, readFile: () => text }).split('\n');
      const heading = lines.findIndex((line) => line.startsWith('SERVICE '));
      return [lines[heading]?.split(/ +/).slice(15), lines[heading + 1]?.split(/ {2,}/).slice(-1)[0]];
    };
    expect(headingsOf('')[0]).toEqual([]);
    expect(headingsOf(', mirror: { service: b, percent: 5 }')).toEqual([['MIRROR'], '5 % to b']);
    const all = ', compress: on, balance: { hash: subject }, limits: { rate: { per: route, limit: 5/1m } }';
    expect(headingsOf(all)).toEqual([['RATE', 'BALANCE', 'COMPRESS'], 'zstd br gzip']);
  });

  test('shows that a route turns compression on itself', () => {
    const text = `services:
  - { name: a, path: /a, upstreams: ["http://a"], routes: [{ match: { path: /on }, compress: on }, { match: { path: /x } }] }
  - { name: b, path: /b, upstreams: ["http://b"], compress: on, routes: [{ match: { path: /x } }] }`;
    const env = { JWT_SECRET: 'x'.repeat(40), GATEWAY_FILE: 'gateway.yaml' };
    const report = reportSettings({ env, dotenv: {}, readFile: () => text });
    const compressOf = (route: string) =>
      report
        .split('\n')
        .find((line) => line.startsWith(`${route} `))
        ?.split(/ {2,}/)
        .at(-1);
    expect(['/a/on', '/a/x', '/b/x'].map(compressOf)).toEqual(['zstd br gzip', '(off)', '(zstd br gzip)']);
  });

  test('shows which routes are logins and logouts, and where tokens may be', () => {
    const file = JSON.stringify({
      services: [
        {
          name: 'shop',
          path: '/shop',
          upstreams: ['http://shop:1'],
          auth: { sources: ['query:token', 'bearer'] },
        },
      ],
      routes: [
        { match: { path: '/in' }, service: 'shop', token: 'issue' },
        { match: { path: '/out' }, service: 'shop', token: 'revoke' },
      ],
    });
    const readFile = () => file;
    const env = { JWT_SECRET: 'x', GATEWAY_FILE: 'gateway.json' };
    const report = reportSettings({ env, dotenv: {}, readFile });
    expect(report).toMatch(/^ROUTE +DOES +SPELLING +AUTH +TOKEN$/m);
    expect(report).toMatch(/^\/in +\/shop +\w+ +\(required, from query:token bearer\) +issue$/m);
    expect(report).toMatch(/^\/out +\/shop +\w+ +\(required, from query:token bearer\) +revoke$/m);
    expect(report).toMatch(/^\/shop\/\*\* +\/shop +\w+ +\(required, from query:token bearer\) +\(none\)$/m);
  });

  test('keeps routes within 120 characters a line, each value below its heading', () => {
    const routes = ['a', 'b'].map((name) => ({
      match: { path: `/${name.repeat(90)}/**` },
      cors: { origins: [`https://${name.repeat(40)}.example`] },
      timeouts: { request: '1s' },
    }));
    const file = JSON.stringify({
      services: [{ name: 'shop', path: '/shop', upstreams: ['http://shop:1'], routes }],
    });
    const readFile = (path: string) => {
      if (path === 'gateway.json') return file;
      throw Object.assign(new Error(`no ${path}`), { code: 'ENOENT' });
    };
    const env = { JWT_SECRET: 'x', AUTH_ISSUE_PATHS: '/shop/in', AUTH_REVOKE_PATHS: '/shop/out' };
    const report = reportSettings({ env, dotenv: {}, readFile }).split('\n');
    const table = report.slice(
      report.indexOf('ROUTE'),
      report.findIndex((line) => line.startsWith('(...)')),
    );
    expect(table).toHaveLength(4 * 2);
    expect(table.filter((line) => line.length > 120)).toEqual([]);
    const [heading = '', value = ''] = [table[1], table[3]];
    expect(value.slice(heading.indexOf('TIMEOUT'))).toMatch(/^1s /);
    expect(value.slice(heading.indexOf('CORS'))).toMatch(/^https:/);
  });

  test('explains itself', () => {
    expect(check({ args: ['--help'] })).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('Usage:'),
    });
    expect(check({ args: ['--hlp'] })).toMatchObject({
      status: 1,
      stderr: expect.stringContaining("'--hlp'"),
    });
  });

  test('never shows a secret', () => {
    const files: Record<string, string> = { jwt: 'hunter2', redis: 'hunter2' };
    const readFile = (path: string) => {
      const text = files[path];
      if (text === undefined) throw Object.assign(new Error(`no ${path}`), { code: 'ENOENT' });
      return text;
    };
    const report = (env: NodeJS.ProcessEnv) => reportSettings({ env, dotenv: {}, readFile });
    const fromFiles = report({ JWT_SECRET_FILE: 'jwt', REDIS_HOST: 'redis', REDIS_PASSWORD_FILE: 'redis' });
    expect(row(fromFiles, 'JWT_SECRET')).toBe('(set, 7 bytes) file');
    expect(row(fromFiles, 'REDIS_PASSWORD')).toBe('(set, 7 bytes) file');
    expect(row(fromFiles, 'Shared state:')).toBe('redis://***@redis:6379/0');
    const fromUrl = report({ JWT_SECRET: 'hunter2', REDIS_URL: 'rediss://user:hunter2@redis' });
    expect(row(fromUrl, 'REDIS_URL')).toBe('rediss://***@redis environment');
    expect(`${fromFiles}${fromUrl}`).not.toContain('hunter2');
  });
});

describe('.env', () => {
  test('completes the environment and never overrides it', () => {
    const env = readEnvironment(
      { SET: 'environment', EMPTY: '' },
      { SET: '.env', EMPTY: '.env', NEW: '.env' },
    );
    expect(env).toEqual({ SET: 'environment', EMPTY: '', NEW: '.env' });
  });

  test('may be absent, but not unreadable', () => {
    expect(readDotenv(join(directory, 'absent'))).toEqual({});
    expect(() => readDotenv(directory)).toThrow('cannot be read (EISDIR)');
  });
});
