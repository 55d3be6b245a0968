import { expect, it } from '@jest/globals';
import { loadSettings, type Settings } from '../../config/config.ts';
import { settingsWarnings } from '../../config/report/warnings.ts';

/** The file .env of the original's document, as it stands there. */
const DOTENV = {
  EXTERNAL_PORT: '8000',
  INTERNAL_PORT: '8001',
  JWT_SECRET: 'your-secret-key-here',
  REDIS_HOST: 'redis',
  REDIS_PORT: '6379',
  GLOBAL_CONCURRENCY: '100',
  PER_SERVICE_LIMIT: '10',
  REQUEST_TIMEOUT: '3s',
  UPSTREAM_TIMEOUT: '10s',
  SERVICE_DISCOVERY_URL: 'http://service-discovery:9000',
  SERVICE_REFRESH_INTERVAL: '30s',
};

it("the original's .env is accepted as it is, without a warning", () => {
  const settings = loadSettings(DOTENV);
  expect(settings).toMatchObject({
    externalPort: 8000,
    internalPort: 8001,
    jwtSecret: 'your-secret-key-here',
    redisUrl: 'redis://redis:6379/0',
    globalConcurrency: 100,
    requestTimeoutMs: 3_000,
    upstreamTimeoutMs: 10_000,
    serviceDiscovery: { kind: 'http', url: 'http://service-discovery:9000' },
    serviceRefreshIntervalMs: 30_000,
  });
  expect(settings.services.map(({ concurrency }) => concurrency)).toEqual(Array(10).fill(10));
  expect(settingsWarnings({ env: {}, dotenv: DOTENV, settings })).toEqual([]);
});

it.each<[keyof typeof DOTENV, string, (settings: Settings) => unknown, unknown]>([
  ['EXTERNAL_PORT', '9000', ({ externalPort }) => externalPort, 9000],
  ['INTERNAL_PORT', '9001', ({ internalPort }) => internalPort, 9001],
  ['JWT_SECRET', 'another', ({ jwtSecret }) => jwtSecret, 'another'],
  ['REDIS_HOST', 'redis-prod', ({ redisUrl }) => redisUrl, 'redis://redis-prod:6379/0'],
  ['REDIS_PORT', '6380', ({ redisUrl }) => redisUrl, 'redis://redis:6380/0'],
  ['GLOBAL_CONCURRENCY', '200', ({ globalConcurrency }) => globalConcurrency, 200],
  ['PER_SERVICE_LIMIT', '20', ({ services }) => services[0]?.concurrency, 20],
  ['REQUEST_TIMEOUT', '4s', ({ requestTimeoutMs }) => requestTimeoutMs, 4_000],
  ['UPSTREAM_TIMEOUT', '20s', ({ upstreamTimeoutMs }) => upstreamTimeoutMs, 20_000],
  [
    'SERVICE_DISCOVERY_URL',
    'http://service-discovery:8002',
    ({ serviceDiscovery }) => serviceDiscovery,
    { kind: 'http', url: 'http://service-discovery:8002' },
  ],
  ['SERVICE_REFRESH_INTERVAL', '15s', ({ serviceRefreshIntervalMs }) => serviceRefreshIntervalMs, 15_000],
  ['SERVICE_REFRESH_INTERVAL', '60s', ({ serviceRefreshIntervalMs }) => serviceRefreshIntervalMs, 60_000],
])('%s=%s is what the gateway goes by', (name, value, read, expected) => {
  expect(read(loadSettings({ ...DOTENV, [name]: value }))).toEqual(expected);
});
