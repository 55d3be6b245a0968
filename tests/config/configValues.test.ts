import { describe, expect, test } from '@jest/globals';
import type { Settings } from '../../config/config.ts';
import { load, problemsOf } from '../support/gateway/settings.ts';

describe('values', () => {
  const accepted: { name: string; in: string; field: keyof Settings; out: unknown }[] = [
    { name: 'EXTERNAL_PORT', in: '0', field: 'externalPort', out: 0 },
    { name: 'EXTERNAL_PORT', in: ' 9000 ', field: 'externalPort', out: 9000 },
    { name: 'INTERNAL_HOST', in: '127.0.0.1', field: 'internalHost', out: '127.0.0.1' },
    { name: 'INTERNAL_HOST', in: '::1', field: 'internalHost', out: '::1' },
    { name: 'REQUEST_TIMEOUT', in: '500ms', field: 'requestTimeoutMs', out: 500 },
    { name: 'REQUEST_TIMEOUT', in: '1m30s', field: 'requestTimeoutMs', out: 90_000 },
    { name: 'REQUEST_TIMEOUT', in: '2.3s', field: 'requestTimeoutMs', out: 2300 },
    { name: 'REQUEST_TIMEOUT', in: '24d', field: 'requestTimeoutMs', out: 2_073_600_000 },
    { name: 'GET_CACHE_TTL', in: '0', field: 'getCacheTtlMs', out: 0 },
    { name: 'GET_CACHE_TTL', in: '0s', field: 'getCacheTtlMs', out: 0 },
    { name: 'GET_CACHE_TTL', in: 'Off', field: 'getCacheTtlMs', out: 'off' },
    { name: 'MAX_BODY_BYTES', in: '65536', field: 'maxBodyBytes', out: 65_536 },
    { name: 'MAX_BODY_BYTES', in: '64KiB', field: 'maxBodyBytes', out: 65_536 },
    { name: 'CACHE_MAX_BYTES', in: '2GiB', field: 'cacheMaxBytes', out: 2 * 1024 ** 3 },
    {
      name: 'RATE_LIMIT_PER_IDENTITY',
      in: '100/1m',
      field: 'rateLimitPerIdentity',
      out: { requests: 100, windowMs: 60_000 },
    },
    {
      name: 'RATE_LIMIT_PER_ADDRESS',
      in: '1000000/1d',
      field: 'rateLimitPerAddress',
      out: { requests: 1_000_000, windowMs: 86_400_000 },
    },
    { name: 'AUTH_REQUIRE_ACTIVE_TOKEN', in: 'TRUE', field: 'authRequireActiveToken', out: true },
    { name: 'AUTH_REQUIRE_ACTIVE_TOKEN', in: '1', field: 'authRequireActiveToken', out: true },
    { name: 'REDIS_REQUIRED', in: '0', field: 'redisRequired', out: false },
    { name: 'JWT_ALGORITHMS', in: 'hs256, HS512', field: 'jwtAlgorithms', out: ['HS256', 'HS512'] },
    { name: 'JWT_AUDIENCE', in: 'cab, tea', field: 'jwtAudience', out: ['cab', 'tea'] },
    { name: 'JWT_MAX_LIFETIME', in: '30d', field: 'jwtMaxLifetimeMs', out: 30 * 24 * 3_600_000 },
    { name: 'JWT_CLOCK_TOLERANCE', in: '0', field: 'jwtClockToleranceMs', out: 0 },
    { name: 'JWT_SUBJECT_CLAIM', in: 'user_id, sub', field: 'jwtSubjectClaims', out: ['user_id', 'sub'] },
    { name: 'JWT_REQUIRE_EXPIRY', in: 'false', field: 'jwtRequireExpiry', out: false },
    {
      name: 'AUTH_ISSUE_PATHS',
      in: '/booking/login, /sharing/v1.0/in',
      field: 'authIssuePaths',
      out: ['/booking/login', '/sharing/v1.0/in'],
    },
    {
      name: 'AUTH_QUERY_TOKEN_PATHS',
      in: '/communication/hubs, /sharing',
      field: 'authQueryTokenPaths',
      out: ['/communication/hubs', '/sharing'],
    },
    { name: 'AUTH_QUERY_TOKEN_PATHS', in: 'None', field: 'authQueryTokenPaths', out: [] },
    { name: 'AUTH_STORE_FAILURE', in: 'allow', field: 'authStoreFailure', out: 'allow' },
    { name: 'LOG_LEVEL', in: 'DEBUG', field: 'logLevel', out: 'debug' },
    { name: 'NODE_ENV', in: 'staging', field: 'environment', out: 'staging' },
    {
      name: 'TRUSTED_PROXIES',
      in: '10.0.0.0/8, ::1, loopback',
      field: 'trustedProxies',
      out: ['10.0.0.0/8', '::1', 'loopback'],
    },
    {
      name: 'SERVICE_DISCOVERY_URL',
      in: 'http://service-discovery:9000/',
      field: 'serviceDiscovery',
      out: { kind: 'http', url: 'http://service-discovery:9000' },
    },
    {
      name: 'SERVICE_DISCOVERY_URL',
      in: 'consul://consul:8500',
      field: 'serviceDiscovery',
      out: { kind: 'consul', url: 'http://consul:8500' },
    },
    {
      name: 'SERVICE_DISCOVERY_URL',
      in: 'consul+https://consul:8501',
      field: 'serviceDiscovery',
      out: { kind: 'consul', url: 'https://consul:8501' },
    },
    {
      name: 'SERVICE_DISCOVERY_URL',
      in: 'dns://tasks.{name}-service',
      field: 'serviceDiscovery',
      out: { kind: 'dns', pattern: 'tasks.{name}-service', port: undefined, server: undefined },
    },
    {
      name: 'SERVICE_DISCOVERY_URL',
      in: 'dns://_http._tcp.{name}.default.svc:8080?server=127.0.0.11:53',
      field: 'serviceDiscovery',
      out: { kind: 'dns', pattern: '_http._tcp.{name}.default.svc', port: 8080, server: '127.0.0.11:53' },
    },
    {
      name: 'SERVICE_DISCOVERY_INCREMENT',
      in: '/services/increment?id={id}',
      field: 'serviceDiscoveryIncrement',
      out: '/services/increment?id={id}',
    },
  ];
  test.each(accepted)('$name=$in is $out', ({ name, in: given, field, out }) => {
    expect(load({ [name]: given })[field]).toEqual(out);
  });

  const DURATION = 'expected a duration such as 500ms, 3s or 1m30s (from 1ms to 24d)';
  const PORT = 'expected a port from 0 to 65535 (0: any free one)';
  const BYTES = 'expected a size in bytes such as 65536, 64KiB, 1MiB or 1GiB, from 0';
  const PROXIES = 'expected a comma-separated list of IP addresses and ranges such as 10.0.0.0/8 or fd00::/8';
  const DISCOVERY =
    'expected http://..., https://..., consul://host:port, consul+https://host:port or dns://tasks.{name}-service[:port][?server=address]';
  const PREFIXES =
    'expected none or a comma-separated list of paths such as /communication/hubs, without a slash at the end';
  const PATHS =
    'expected a comma-separated list of paths such as /userManagement/auth/login, without a slash at the end';
  const ALGORITHMS =
    'expected a comma-separated list of HS256, HS384, HS512, RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA, Ed25519';
  const RATE = 'expected requests in whole seconds such as 100/1m or 5000/1h (from 1/1s to 1000000/1d)';
  const refused: { name: string; in: string; out: string }[] = [
    { name: 'REQUEST_TIMEOUT', in: '3 bananas', out: DURATION },
    { name: 'REQUEST_TIMEOUT', in: '3000', out: DURATION },
    { name: 'REQUEST_TIMEOUT', in: '3 s', out: DURATION },
    { name: 'REQUEST_TIMEOUT', in: '-3s', out: DURATION },
    { name: 'REQUEST_TIMEOUT', in: '0', out: DURATION },
    { name: 'REQUEST_TIMEOUT', in: '0.4ms', out: DURATION },
    { name: 'REQUEST_TIMEOUT', in: '30s1m', out: DURATION },
    { name: 'REQUEST_TIMEOUT', in: '1m30', out: DURATION },
    { name: 'REQUEST_TIMEOUT', in: '25d', out: DURATION },
    { name: 'REQUEST_TIMEOUT', in: '1e3s', out: DURATION },
    {
      name: 'GET_CACHE_TTL',
      in: '30',
      out: 'expected a duration such as 500ms, 3s or 1m30s (from 0 to 24d), explicit or off',
    },
    { name: 'RATE_LIMIT_PER_IDENTITY', in: '100', out: RATE },
    { name: 'RATE_LIMIT_PER_IDENTITY', in: '0/1m', out: RATE },
    { name: 'RATE_LIMIT_PER_IDENTITY', in: '1.5/1m', out: RATE },
    { name: 'RATE_LIMIT_PER_IDENTITY', in: '100/m', out: RATE },
    { name: 'RATE_LIMIT_PER_IDENTITY', in: '100/1.5s', out: RATE },
    { name: 'RATE_LIMIT_PER_IDENTITY', in: '100/0', out: RATE },
    { name: 'RATE_LIMIT_PER_IDENTITY', in: '100/2d', out: RATE },
    { name: 'RATE_LIMIT_PER_IDENTITY', in: '1000001/1m', out: RATE },
    { name: 'RATE_LIMIT_PER_IDENTITY', in: '100/1m/1m', out: RATE },
    { name: 'EXTERNAL_PORT', in: '65536', out: PORT },
    { name: 'EXTERNAL_PORT', in: '80a', out: PORT },
    { name: 'EXTERNAL_PORT', in: '0x50', out: PORT },
    { name: 'REDIS_PORT', in: '0', out: 'expected a port from 1 to 65535' },
    { name: 'EXTERNAL_HOST', in: 'http://x', out: 'expected an IP address or a host name' },
    { name: 'EXTERNAL_HOST', in: '256.0.0.1', out: 'expected an IP address or a host name' },
    { name: 'GLOBAL_CONCURRENCY', in: '0', out: 'expected a whole number from 1 to 1000000' },
    { name: 'PER_SERVICE_LIMIT', in: '2.5', out: 'expected a whole number from 1 to 1000000' },
    { name: 'MAX_BODY_BYTES', in: '1MB', out: BYTES },
    { name: 'MAX_BODY_BYTES', in: '-1', out: BYTES },
    { name: 'MAX_BODY_BYTES', in: 'MiB', out: BYTES },
    { name: 'REDIS_REQUIRED', in: 'yes', out: 'expected true or false' },
    { name: 'AUTH_STORE_FAILURE', in: 'deny', out: 'expected refuse or allow' },
    { name: 'JWT_ALGORITHMS', in: 'none', out: ALGORITHMS },
    { name: 'JWT_ALGORITHMS', in: 'HS256,', out: ALGORITHMS },
    { name: 'JWT_AUDIENCE', in: 'a,,b', out: 'expected a comma-separated list of audiences' },
    { name: 'JWT_MAX_LIFETIME', in: '3651d', out: DURATION.replace('24d', '3650d') },
    { name: 'AUTH_ISSUE_PATHS', in: '/userManagement/auth/login/', out: PATHS },
    { name: 'AUTH_ISSUE_PATHS', in: '/login', out: PATHS },
    { name: 'AUTH_QUERY_TOKEN_PATHS', in: '/communication/', out: PREFIXES },
    { name: 'AUTH_QUERY_TOKEN_PATHS', in: '/', out: PREFIXES },
    { name: 'AUTH_QUERY_TOKEN_PATHS', in: '/communication/%68ubs', out: PREFIXES },
    { name: 'AUTH_QUERY_TOKEN_PATHS', in: '/communication,none', out: PREFIXES },
    { name: 'AUTH_REVOKE_PATHS', in: 'userManagement/auth/logout', out: PATHS },
    { name: 'AUTH_REVOKE_PATHS', in: '/userManagement/../logout', out: PATHS },
    { name: 'AUTH_REVOKE_PATHS', in: '/userManagement/auth/%6cogout', out: PATHS },
    { name: 'TRUSTED_PROXIES', in: '10.0.0.0/33', out: PROXIES },
    { name: 'TRUSTED_PROXIES', in: '10.0.0.1,proxy', out: PROXIES },
    { name: 'TRUSTED_PROXIES', in: '010.0.0.0/8', out: PROXIES },
    { name: 'TRUSTED_PROXIES', in: '::1,167772161', out: PROXIES },
    { name: 'TRUSTED_PROXIES', in: '::ffff:10.0.0.0/8', out: PROXIES },
    { name: 'SERVICE_DISCOVERY_URL', in: 'service-discovery:9000', out: DISCOVERY },
    { name: 'SERVICE_DISCOVERY_URL', in: 'ftp://x', out: DISCOVERY },
    { name: 'SERVICE_DISCOVERY_URL', in: 'dns://tasks', out: DISCOVERY },
    { name: 'SERVICE_DISCOVERY_URL', in: 'dns://tasks.{name}:99999', out: DISCOVERY },
    { name: 'SERVICE_DISCOVERY_URL', in: 'consul://consul/?dc=1', out: DISCOVERY },
    {
      name: 'SERVICE_DISCOVERY_DEREGISTER',
      in: '/x',
      out: 'expected a path starting with / and holding {id} or {host}',
    },
    { name: 'LOG_LEVEL', in: 'loud', out: 'expected error or warn or info or debug' },
    {
      name: 'NODE_ENV',
      in: 'prod',
      out: 'expected production (written in full), development, test or another name',
    },
  ];
  test.each(refused)('$name=$in is refused', ({ name, in: given, out }) => {
    expect(problemsOf({ [name]: given })).toEqual([`${name} is "${given}": ${out}`]);
  });

  test('that Docker set for a linked container are told apart', () => {
    const problems = problemsOf({ REDIS_PORT: 'tcp://172.17.0.5:6379' });
    expect(problems).toEqual([expect.stringContaining('Docker and Kubernetes set this variable')]);
  });

  test('are shown on one line and not at full length', () => {
    const [problem] = problemsOf({ REQUEST_TIMEOUT: `a\nb${'c'.repeat(1000)}` });
    expect(problem).toMatch(/^REQUEST_TIMEOUT is "a\\nbccc.*\.\.\.: expected/);
    expect(problem?.length).toBeLessThan(200);
  });
});
