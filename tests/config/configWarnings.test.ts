import { expect, test } from '@jest/globals';
import { loadSettings } from '../../config/config.ts';
import { DEFAULT_FILES } from '../../config/file/gatewayFile.ts';
import { settingsWarnings } from '../../config/report/warnings.ts';
import { listVariables } from '../../config/variables.ts';

const ORDERS = {
  name: 'orders',
  path: '/orders',
  upstreams: ['http://orders:80'],
  limits: { concurrency: 5 },
};
const FILES: Readonly<Record<string, string>> = {
  'gateway.json': JSON.stringify({ services: [ORDERS] }),
  secret: 'x',
};

/** None of the files that a gateway looks for unasked is there; of others what is not here is empty. */
function readTestFile(path: string): string {
  if (DEFAULT_FILES.some((name) => name === path)) throw Object.assign(new Error(path), { code: 'ENOENT' });
  return FILES[path.replace('config/', '')] ?? '';
}

function warningsOf(env: NodeJS.ProcessEnv, dotenv: NodeJS.Dict<string> = {}): string[] {
  const all = { JWT_SECRET: 'test secret', ...dotenv, ...env };
  const settings = loadSettings(all, readTestFile);
  return settingsWarnings({ env, dotenv, settings });
}

test('there are none for the defaults, nor for what the original is started with', () => {
  expect(warningsOf({})).toEqual([]);
  const original = {
    SERVICE_DISCOVERY_URL: 'http://service-discovery:9000',
    SERVICE_REFRESH_INTERVAL: '30s',
    REDIS_HOST: 'redis',
    REDIS_PORT: '6379',
    REDIS_PASSWORD: 'x',
    GLOBAL_CONCURRENCY: '100',
    PER_SERVICE_LIMIT: '10',
    REQUEST_TIMEOUT: '3s',
    GET_CACHE_TTL: '30s',
    DATA_DIR: '/data',
  };
  expect(warningsOf(original)).toEqual([]);
});

test('what a file .env says to nobody is named, what the environment holds for others is not', () => {
  expect(warningsOf({ PGDATA: '/data' }, { REDIS_MODE: 'x', LOG_LEVEL: 'warn', FOO: '' })).toEqual([
    'REDIS_MODE in .env is not a setting of the gateway: it does nothing; the nearest is REDIS_NODES',
    'FOO in .env is not a setting of the gateway: it does nothing',
  ]);
});

test.each([
  ['REDIS_CLUSTER_NODES', 'REDIS_NODES'],
  ['JWT_EXPIRES_IN', 'JWT_SECRET'],
  ['USE_REDIS_CLUSTER', 'USE_REDIS_SHARDING'],
  ['GATEWAY_EXTERNAL_PORT_NUMBER', 'EXTERNAL_PORT'],
  ['CACHE_TTL_SECONDS', expect.anything()],
  // Values that a container engine would have put there differ.
  ['REDIS_NAME', expect.anything()],
  ['GATEWAY_PORT', expect.anything()],
])('%s of the environment is named, once, with the nearest setting', (name, nearest) => {
  for (const dotenv of [{}, { [name]: 'hunter2' }]) {
    const warnings = warningsOf({ [name]: 'hunter2' }, dotenv);
    expect(warnings).toHaveLength(1);
    const words =
      /^(\w+)(?: in \.env)? is not a setting of the gateway: it does nothing; the nearest is (\w+)$/;
    expect(words.exec(warnings[0] ?? '')?.slice(1)).toEqual([name, nearest]);
  }
});

test.each([
  ['JWT_ALGORITHM', 'JWT_ALGORITHMS'],
  ['REDIS_URI', 'REDIS_URL'],
  ['REQUEST_TIMOUT', 'REQUEST_TIMEOUT'],
  ['LogLevel', 'LOG_LEVEL'],
])('%s, which another container of the stack may read, does not end the start', (name, meant) => {
  const words = `is not a setting of the gateway: it does nothing; did you mean ${meant}?`;
  expect(warningsOf({ [name]: 'x' })).toEqual([`${name} ${words}`]);
  expect(warningsOf({}, { [name]: 'x' })).toEqual([`${name} in .env ${words}`]);
});

/** Docker's links, Kubernetes's services named after parts of the stack, images and tools. */
const OTHERS = {
  REDIS_NAME: '/api-gateway/redis',
  REDIS_PORT_6379_TCP: 'tcp://172.17.0.2:6379',
  REDIS_PORT_6379_TCP_ADDR: '172.17.0.2',
  REDIS_PORT_6379_TCP_PORT: '6379',
  REDIS_PORT_6379_TCP_PROTO: 'tcp',
  REDIS_PORT_6379_TCP_START: 'tcp://172.17.0.2:6379',
  REDIS_PORT_6379_TCP_PORT_END: '6390',
  REDIS_PORT_53_UDP_ADDR: '172.17.0.2',
  REDIS_ENV_REDIS_VERSION: '8.0.0',
  REDIS_VERSION: '8.0.0',
  REDIS_DOWNLOAD_SHA: 'abc',
  REDIS_SERVICE_HOST: '10.0.0.1',
  REDIS_SERVICE_PORT: '6379',
  REDIS_SERVICE_PORT_REDIS_TLS: '6380',
  GATEWAY_PORT: 'tcp://10.0.0.2:8000',
  GATEWAY_PORT_8000_TCP: 'tcp://10.0.0.2:8000',
  GATEWAY_SERVICE_HOST: '10.0.0.2',
  SERVICE_DISCOVERY_PORT: 'tcp://10.0.0.3:9000',
  SERVICE_DISCOVERY_SERVICE_HOST: '10.0.0.3',
  AUTH_PORT: 'sctp://10.0.0.4:1',
  NODE_OPTIONS: '--max-old-space-size=512',
  NODE_VERSION: '26',
  NODE_EXTRA_CA_CERTS: '/ca.pem',
  OTEL_SERVICE_NAME: 'gateway',
  npm_config_cache: '/tmp',
  PATH: '/bin',
  TLS: '1',
};
test('what containers, images and tools put into the environment is not named', () => {
  expect(warningsOf(OTHERS)).toEqual([]);
});

test('the default paths of login and logout, where no service has them', () => {
  const warnings = warningsOf({ GATEWAY_FILE: 'config/gateway.json' });
  expect(warnings).toEqual([
    'AUTH_ISSUE_PATHS is not set, and no service has the paths of its default (/userManagement/auth/login, /userManagement/auth/register, /userManagement/auth/refresh): no path is open to users without a token',
    'AUTH_REVOKE_PATHS is not set, and no service has the paths of its default (/userManagement/auth/logout): no path revokes a token',
  ]);
  const set = { AUTH_ISSUE_PATHS: '/orders/in', AUTH_REVOKE_PATHS: '/orders/out' };
  expect(warningsOf({ GATEWAY_FILE: 'config/gateway.json', ...set })).toEqual([]);
});

const NODES = 'a:redis-a:6379,b:redis-b:6379,c:redis-c:6379';
const SHARDED = { USE_REDIS_SHARDING: 'true', REDIS_NODES: NODES };
const SHARED = { REDIS_URL: 'redis://redis' };
const PUBLIC = { JWKS_URL: 'https://issuer/keys' };
test.each<[NodeJS.ProcessEnv, string]>([
  [
    { REDIS_PASSWORD: 'hunter2' },
    'REDIS_PASSWORD is set and does nothing: neither REDIS_URL nor REDIS_HOST is set',
  ],
  [{ REDIS_PASSWORD_FILE: 'secret' }, 'REDIS_PASSWORD_FILE is set and does nothing'],
  [{ REDIS_NODES: NODES }, 'REDIS_NODES is set and does nothing: USE_REDIS_SHARDING is not true'],
  [{ ...SHARDED, REDIS_HOST: 'redis' }, 'REDIS_HOST is set and does nothing: USE_REDIS_SHARDING is true'],
  [{ ...SHARDED, REDIS_NODES: 'a:redis:1' }, 'REDIS_NODES names one node'],
  [
    { ...SHARDED, REDIS_NODES: 'a:redis:1,b:redis:2' },
    'REDIS_NODES names two nodes: while one of them is away',
  ],
  [{ REDIS_REQUIRED: 'true' }, 'REDIS_REQUIRED is set and does nothing'],
  [{ BREAKER_SHARED: 'true' }, 'BREAKER_SHARED is set and does nothing'],
  [
    { GET_CACHE_TTL: 'off', CACHE_MAX_BYTES: '2MiB' },
    'CACHE_MAX_BYTES is set and does nothing: the cache is off',
  ],
  [
    { SERVICE_REFRESH_INTERVAL: '5s' },
    'SERVICE_REFRESH_INTERVAL is set and does nothing: SERVICE_DISCOVERY_URL',
  ],
  [{ SERVICE_DISCOVERY_STACK: 'padstack' }, 'SERVICE_DISCOVERY_STACK is set and does nothing: only names'],
  [
    { SERVICE_DISCOVERY_URL: 'http://registry', SERVICE_DISCOVERY_TOKEN: 'hunter2' },
    'SERVICE_DISCOVERY_TOKEN is set and does nothing: only Consul',
  ],
  [
    { SERVICE_DISCOVERY_URL: 'consul://consul', SERVICE_DISCOVERY_INCREMENT: '/i?{id}' },
    'SERVICE_DISCOVERY_INCREMENT is set and does nothing: only an HTTP registry',
  ],
  [{ ...PUBLIC, JWT_ALGORITHMS: 'ES256', JWT_SECRET: 'hunter2' }, 'JWT_SECRET is set and does nothing'],
  [{ ...PUBLIC, JWT_ALGORITHMS: 'HS256' }, 'JWKS_URL is set and does nothing'],
  [{ DRAIN_TIMEOUT: '2s' }, 'DRAIN_TIMEOUT is 2s and a request may take 3s'],
  [{ DRAIN_GRACE: '20s' }, 'DRAIN_GRACE is 20s, longer than DRAIN_TIMEOUT, 8s'],
  [
    { GLOBAL_CONCURRENCY: '9' },
    'GLOBAL_CONCURRENCY is 9, below the limit of single services or routes (/userManagement, ',
  ],
])('%j: %s', (env, warning) => {
  const warnings = warningsOf(env);
  expect(warnings).toEqual([expect.stringContaining(warning)]);
  expect(warnings.join()).not.toContain('hunter2');
});

test('what has a use is not named', () => {
  expect(warningsOf({ ...SHARED, REDIS_PASSWORD: 'x', REDIS_DB: '3', BREAKER_SHARED: 'false' })).toEqual([]);
  expect(
    warningsOf({ ...SHARDED, REDIS_PASSWORD: 'x', REDIS_REQUIRED: 'true', BREAKER_SHARED: 'true' }),
  ).toEqual([]);
  expect(warningsOf({ SERVICE_DISCOVERY_URL: 'consul://consul', SERVICE_DISCOVERY_TOKEN: 'x' })).toEqual([]);
  expect(warningsOf({ ...PUBLIC, JWT_SECRET: 'x' })).toEqual([]);
  expect(warningsOf({ DRAIN_TIMEOUT: '0', DRAIN_GRACE: '0' })).toEqual([]);
});

test('every variable of the table can stand in .env without a word about its name', () => {
  const names = listVariables().map(([, { name }]) => name);
  const dotenv = Object.fromEntries(names.map((name) => [name, '']));
  const settings = loadSettings({ JWT_SECRET: 'x' });
  expect(settingsWarnings({ env: {}, dotenv, settings })).toEqual([]);
});
