import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it, jest } from '@jest/globals';
import { stringify } from 'yaml';
import type { Explanation } from '../../../gateway/explain/explanation.ts';
import { call } from '../../support/clients/client.ts';
import { startGateway, TEST_SECRET } from '../../support/gateway/gateway.ts';
import { startUpstream } from '../../support/upstreams/upstream.ts';
import { proUser } from './ratedRules.ts';

// Each run of a command is a process.
jest.setTimeout(60_000);

const ROOT = join(import.meta.dirname, '../../..');
const env = { JWT_SECRET: TEST_SECRET, RATE_LIMIT_PER_ADDRESS: '50/1m', RATE_LIMIT_PER_IDENTITY: '60/1m' };

const defaults = { limits: { rate: { per: 'identity', limit: '1000/1m' } } } as const;
const PLANS = { free: '10/1m', pro: { limit: '100/1m', burst: 20 }, default: '5/1m' };
const shop = {
  limits: {
    rate: [
      { per: 'identity', by: 'claim:plan', limits: PLANS },
      { per: 'service', limit: '5000/1m' },
      { per: 'address', limit: '90/1m' },
    ],
  },
  routes: [
    {
      match: { methods: ['POST'], path: '/reports' },
      limits: { rate: { per: 'identity', limit: '5/1h', burst: 2 } },
    },
    {
      match: { path: '/open/**' },
      auth: 'none',
      limits: {
        rate: [
          { per: 'address', limit: '7/1s' },
          { per: 'route', limit: '3/1m' },
        ],
      },
    },
  ],
} as const;
const INHERITED =
  'identity 1000/1m; identity by claim plan: free 10/1m, pro 100/1m burst 20, default 5/1m; service 5000/1m';

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'rates-explained-'));
  const file = stringify({
    defaults,
    services: [
      { name: 'shop', path: '/shop', upstreams: ['http://shop:1'], ...shop },
      { name: 'other', path: '/other', upstreams: ['http://other:1'] },
    ],
    routes: [{ match: { path: '/old' }, redirect: { to: '/new' } }],
  });
  writeFileSync(join(directory, 'gateway.yaml'), file);
});
afterAll(() => rmSync(directory, { recursive: true }));

/** Runs a command as people do, and gives what it prints. */
function run(module: string, ...args: readonly string[]): string {
  const command = [join(ROOT, module), ...args];
  const { status, stdout, stderr } = spawnSync(process.execPath, command, {
    cwd: directory,
    env,
    encoding: 'utf8',
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return stdout;
}

function explain(method: string, path: string) {
  const printed = run('gateway/explain/main.ts', method, `http://gateway${path}`, '--json');
  const { stages, outcome } = JSON.parse(printed) as Explanation;
  const valuesOf = (stage: string) =>
    stages
      .find(({ name }) => name === stage)
      ?.values.map(({ name, value, from }) => [
        name,
        value,
        [from, ...(from.and ?? [])].map(({ level }) => level).join(' '),
      ]);
  return { outcome, address: valuesOf('addressRateLimit'), others: valuesOf('rateLimit') };
}

const ADDRESS_VARIABLE = ['RATE_LIMIT_PER_ADDRESS', '50/1m', 'environment'];
const IDENTITY_VARIABLE = ['RATE_LIMIT_PER_IDENTITY', '60/1m', 'environment'];

it('explain shows each stage the rates that it counts, and the levels that say them', () => {
  expect(explain('POST', '/shop/reports')).toMatchObject({
    address: [['limits.rate', 'address 90/1m', 'service'], ADDRESS_VARIABLE],
    others: [
      ['limits.rate', `${INHERITED}; identity 5/1h burst 2`, 'route service defaults'],
      IDENTITY_VARIABLE,
    ],
  });
  expect(explain('GET', '/shop/open/x')).toMatchObject({
    address: [['limits.rate', 'address 90/1m; address 7/1s', 'route service'], ADDRESS_VARIABLE],
    others: [['limits.rate', `${INHERITED}; route 3/1m`, 'route service defaults'], IDENTITY_VARIABLE],
  });
  expect(explain('GET', '/other/x')).toMatchObject({
    address: [ADDRESS_VARIABLE],
    others: [['limits.rate', 'identity 1000/1m', 'defaults'], IDENTITY_VARIABLE],
  });
});

it('explain shows no rate where none counts', () => {
  expect(explain('GET', '/old')).toMatchObject({
    outcome: { kind: 'redirect' },
    address: undefined,
    others: undefined,
  });
});

it('explain prints where each stands', () => {
  const text = run('gateway/explain/main.ts', 'GET', 'http://gateway/shop/open/x').replace(/\s+/g, ' ');
  const file = readFileSync(join(directory, 'gateway.yaml'), 'utf8').split('\n');
  // Of `defaults`, the service, and its two routes.
  const lines = file.flatMap((line, index) => (line.trim() === 'rate:' ? [index + 1] : []));
  expect(text).toMatch(
    new RegExp(
      `addressRateLimit limits.rate address 90/1m; address 7/1s \\[route, gateway.yaml:${lines[3]}:\\d+; service, gateway.yaml:${lines[1]}:\\d+\\]`,
    ),
  );
});

it('config:check lists the rates of services and routes, and whether they are inherited', () => {
  const printed = run('config/check.ts');
  const lines = printed.split('\n');
  const rateOf = (service: string) =>
    lines
      .find((line) => line.startsWith(`${service} `))
      ?.split(/ {2,}/)
      .at(-1);
  expect([rateOf('shop'), rateOf('other')]).toEqual([`${INHERITED}; address 90/1m`, 'identity 1000/1m']);
  // A route is its name, what it does and its rate, each on a line.
  const ofRoute = (name: string) => lines[lines.indexOf(name) + 2]?.trim();
  expect(ofRoute('POST /shop/reports')).toBe(`${INHERITED}; address 90/1m; identity 5/1h burst 2`);
  expect(ofRoute('/shop/open/**')).toBe(`${INHERITED}; address 90/1m; address 7/1s; route 3/1m`);
  expect(ofRoute('/other/**')).toBe('(identity 1000/1m)');
  expect(ofRoute('/old')).toBe('-');
  expect(printed).toMatch(/^RATE_LIMIT_PER_ADDRESS +50\/1m +environment$/m);
});

it('and clients are told of the same', async () => {
  await using upstream = await startUpstream();
  const upstreams = [upstream];
  await using gateway = await startGateway({
    defaults,
    services: { '/shop': { upstreams, ...(shop as object) }, '/other': { upstreams } },
    env,
  });
  const policies = async (method: string, path: string) => {
    const response = await call(`${gateway.external}${path}`, { method, headers: proUser('ann') });
    return String(response.headers['ratelimit-policy']).split(', ');
  };
  const inherited = [
    '"identity";q=60;w=60',
    '"defaults-identity";q=1000;w=60',
    '"service-identity";q=20;w=12',
  ];
  expect(await policies('POST', '/shop/reports')).toEqual([
    '"address";q=50;w=60',
    '"service-address";q=90;w=60',
    ...inherited,
    '"route-identity";q=2;w=1440',
    '"service-service";q=5000;w=60',
  ]);
  expect(await policies('GET', '/other/x')).toEqual([
    '"address";q=50;w=60',
    '"identity";q=60;w=60',
    '"defaults-identity";q=1000;w=60',
  ]);
});
