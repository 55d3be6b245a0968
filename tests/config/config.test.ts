import { describe, expect, test } from '@jest/globals';
import { JWT_SECRET, load, problemsOf } from '../support/gateway/settings.ts';

describe('defaults', () => {
  test('need nothing but a secret', () => {
    const { services, memory, defaults, ...plain } = load({});
    expect(memory.cacheBytes).toBe(64 * 1024 ** 2);
    expect(services).toHaveLength(10);
    expect(services[0]).toMatchObject(defaults);
    expect(plain).toEqual({
      environment: 'development',
      externalHost: '::',
      externalPort: 8000,
      internalHost: '::',
      internalPort: 8001,
      internalAllow: [],
      internalNames: [],
      overriddenByFile: [],
      workers: 1,
      reusePort: false,
      trustedProxies: [],
      jwtSecret: JWT_SECRET,
      jwksUrl: undefined,
      jwtPublicKey: undefined,
      jwtAlgorithms: ['HS256'],
      jwtIssuer: undefined,
      jwtAudience: undefined,
      jwtSubjectClaims: ['sub', 'uuid', 'user_id'],
      jwtRequireExpiry: true,
      jwtClockToleranceMs: 5_000,
      jwtMaxLifetimeMs: undefined,
      authIssuePaths: [
        '/userManagement/auth/login',
        '/userManagement/auth/register',
        '/userManagement/auth/refresh',
      ],
      authRevokePaths: ['/userManagement/auth/logout'],
      authQueryTokenPaths: ['/communication'],
      authCacheTtlMs: 60_000,
      authRequireActiveToken: false,
      authStoreFailure: 'refuse',
      adminToken: undefined,
      redisUrl: undefined,
      redisNodes: [],
      redisRequired: true,
      slowStartMs: 5000,
      storeTimeoutMs: 50,
      dataDir: './data',
      globalConcurrency: 100,
      perServiceLimit: 10,
      compressionCoders: 64,
      concurrencyQueue: 0,
      fairShare: 0.8,
      logoutConcurrency: 50,
      maxStreams: 1000,
      serviceStreams: 100,
      streamAfterMs: 10_000,
      maxConnections: 20000,
      viaName: 'faf-cab-gateway',
      viaOnResponses: false,
      headersTimeoutMs: 20_000,
      keepAliveTimeoutMs: 75_000,
      connectionMaxAgeMs: 0,
      bodyTimeoutMs: undefined,
      minUploadRate: 1024,
      routes: [],
      sendTimeoutMs: 60_000,
      maxUpgrades: 1000,
      maxBodyBytes: 0,
      maxRequestHeadBytes: 64 * 1024,
      maxResponseHeadBytes: 64 * 1024,
      requestTimeoutMs: 3000,
      upstreamTimeoutMs: 10_000,
      upstreamKeepAliveMs: 4_000,
      upstreamConnectionAgeMs: 30_000,
      drainTimeoutMs: 8_000,
      drainGraceMs: 0,
      getCacheTtlMs: 30_000,
      cacheStaleIfErrorMs: 60_000,
      cacheMaxEntryBytes: 1024 ** 2,
      breakerShared: true,
      cacheMaxBytes: 64 * 1024 ** 2,
      circuitBreakerRatio: 0.5,
      circuitBreakerThreshold: 3,
      circuitBreakerWindowMs: 10_500,
      circuitBreakerCooldownMs: 30_000,
      serviceDiscovery: undefined,
      serviceDiscoveryToken: undefined,
      serviceDiscoveryStack: undefined,
      serviceRefreshIntervalMs: 30_000,
      serviceDiscoveryIncrement: undefined,
      serviceDiscoveryDeregister: undefined,
      logLevel: 'info',
      logFormat: 'auto',
      accessLogSample: 1,
      accessLogSlowMs: 1000,
      externalMetrics: false,
      serverTiming: false,
      otlpEndpoint: undefined,
    });
  });

  test('stand for empty variables too', () => {
    expect(load({ REQUEST_TIMEOUT: '', REDIS_HOST: '', EXTERNAL_PORT: '  ' })).toEqual(load({}));
  });

  test('of the drain leave idle connections time only where ports are shared', () => {
    expect(load({ REUSE_PORT: 'true' })).toMatchObject({ reusePort: true, drainGraceMs: 6000 });
    expect(load({ REUSE_PORT: 'true', DRAIN_GRACE: '0' }).drainGraceMs).toBe(0);
  });

  test('of the breaker window follow REQUEST_TIMEOUT, unless it is set', () => {
    expect(load({ REQUEST_TIMEOUT: '2s' }).circuitBreakerWindowMs).toBe(7000);
    expect(load({ REQUEST_TIMEOUT: '2s', CIRCUIT_BREAKER_WINDOW: '1m' }).circuitBreakerWindowMs).toBe(60_000);
  });
});

describe('the settings', () => {
  test('are frozen all through', () => {
    const settings = load({});
    const parts = [settings, settings.services, settings.services[0], settings.services[0]?.aliases];
    expect([...parts, settings.jwtAlgorithms].map((part) => Object.isFrozen(part))).toEqual(
      Array(5).fill(true),
    );
  });

  test('hold no part that another field is made of', () => {
    const settings = load({ REDIS_HOST: 'redis', REDIS_PASSWORD: 'hunter2', GATEWAY_FILE: '' });
    const parts = [
      'redisHost',
      'redisPort',
      'redisPassword',
      'redisPasswordFile',
      'jwtSecretFile',
      'jwtPublicKeyFile',
      'adminTokenFile',
    ];
    expect(Object.keys(settings).filter((field) => parts.includes(field))).toEqual([]);
  });

  test('come with every problem at once, or not at all', () => {
    const env = {
      JWT_SECRET: '',
      EXTERNAL_PORT: 'http',
      REQUEST_TIMEOUT: '3 bananas',
      REQUEST_TIMOUT: '3s',
      LOG_LEVEL: 'loud',
      CACHE_MAX_ENTRY_BYTES: '65MiB',
      GATEWAY_FILE: 'gateway.json',
    };
    const problems = problemsOf(env, { 'gateway.json': '{"services":[{"name":"a"}]}' });
    expect(problems.map((problem) => problem.split(' ')[0])).toEqual([
      'REQUEST_TIMOUT',
      'EXTERNAL_PORT',
      'REQUEST_TIMEOUT',
      'LOG_LEVEL',
      'JWT_SECRET',
      'CACHE_MAX_ENTRY_BYTES',
      'gateway.json:1:14:',
    ]);
    const message = `The settings cannot be used:\n  ${problems.join('\n  ')}`;
    expect(() => load(env, { 'gateway.json': '{"services":[{"name":"a"}]}' })).toThrow(message);
  });
});

describe('the ports', () => {
  const clash = 'INTERNAL_PORT is "8000": expected another port than EXTERNAL_PORT, or another host';
  const cases: { name: string; in: NodeJS.ProcessEnv; out: string[] }[] = [
    { name: 'the same twice', in: { INTERNAL_PORT: '8000' }, out: [clash] },
    {
      name: 'the same on all and on one address',
      in: { INTERNAL_PORT: '8000', INTERNAL_HOST: '127.0.0.1' },
      out: [clash],
    },
    {
      name: 'the same on two addresses',
      in: { INTERNAL_PORT: '8000', INTERNAL_HOST: '127.0.0.1', EXTERNAL_HOST: '127.0.0.2' },
      out: [],
    },
    { name: 'any free one, twice', in: { INTERNAL_PORT: '0', EXTERNAL_PORT: '0' }, out: [] },
  ];
  test.each(cases)('$name', ({ in: env, out }) => {
    expect(problemsOf(env)).toEqual(out);
  });

  test('are not compared when one of them is wrong by itself', () => {
    expect(problemsOf({ EXTERNAL_PORT: 'http', INTERNAL_PORT: '8000' })).toHaveLength(1);
  });
});

test('a setting that has another name now is refused with that name', () => {
  expect(problemsOf({ VIA_ON_ANSWERS: 'true' })).toEqual([
    'VIA_ON_ANSWERS is no setting any more: write VIA_ON_RESPONSES=true',
  ]);
});
