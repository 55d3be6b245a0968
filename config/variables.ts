import type { z } from 'zod';
import { HMAC_ALGORITHMS, PUBLIC_KEY_ALGORITHMS } from '../lib/auth/tokens/algorithms.ts';
import { addressList, host, hostList, httpUrl, redisAddress } from './kinds/addresses.ts';
import type { Kind } from './kinds/kinds.ts';
import * as kinds from './kinds/kinds.ts';
import { publicKey } from './kinds/publicKey.ts';
import { rate } from './kinds/rates.ts';
import { maskAll, maskCredentials } from './report/problems.ts';
import { discoveryAddress, stackName } from './sections/discovery.ts';
import { redisNodes } from './sections/redisNodes.ts';

/** One setting. Adding a row below is all it takes: the type, the errors and the documents follow. */
export interface Variable {
  readonly name: string;
  readonly kind: Kind<unknown>;
  /** The value when the variable is unset or empty, as a person would type it. */
  readonly default?: string;
  /** Without a default: what happens then, for the documents. */
  readonly unset?: string;
  /** For people, in Markdown: what it does, and what zero means. */
  readonly description: string;
  /** How the value may be shown. Its presence marks a secret: errors then leave the value out. */
  readonly mask?: (text: string) => string;
  /** The variable that names a file to read the value from instead. */
  readonly file?: string;
}

const count = kinds.wholeNumber(1, kinds.MAX_COUNT);
const countOrZero = kinds.wholeNumber(0, kinds.MAX_COUNT);
const filePath = kinds.text('the path of a file');

/** Every setting by the field it fills, in the order of the documents. */
export const variables = {
  environment: {
    name: 'NODE_ENV',
    kind: kinds.environmentName,
    default: 'development',
    description: 'With `production`, a `JWT_SECRET` or `ADMIN_TOKEN` that is short or an example is refused.',
  },
  externalHost: {
    name: 'EXTERNAL_HOST',
    kind: host,
    default: '::',
    description: 'Address of the port for users; `::` is every address of the machine.',
  },
  externalPort: {
    name: 'EXTERNAL_PORT',
    kind: kinds.port(0),
    default: '8000',
    description: 'Port for users: tokens, limits and cache apply.',
  },
  internalHost: {
    name: 'INTERNAL_HOST',
    kind: host,
    default: '::',
    description:
      'Address of the port for services; `::` is every address of the machine. It asks for no token, so it must not be reachable from outside: bind it to a private address, or do not publish it.',
  },
  internalPort: {
    name: 'INTERNAL_PORT',
    kind: kinds.port(0),
    default: '8001',
    description: 'Port for services calling each other under `/internal`.',
  },
  internalAllow: {
    name: 'INTERNAL_ALLOW',
    kind: addressList,
    default: '',
    description:
      'Peers that may connect to the port for services although their addresses are public. Loopback, private (RFC 1918, RFC 4193, RFC 6598) and link-local addresses always may; connections of all others are closed at once.',
  },
  internalNames: {
    name: 'INTERNAL_NAMES',
    kind: hostList,
    default: '',
    description:
      'Public names by which browsers may call the port for services, such as `gateway.example.com`. Services may use any name, and browsers addresses, names without dots and private ones (`.local`, `.internal`) as well.',
  },
  reusePort: {
    name: 'REUSE_PORT',
    kind: kinds.flag,
    default: 'false',
    description:
      'Lets other gateways of this machine that say so too listen on the same ports, so that one is restarted while another serves (`SO_REUSEPORT`).',
  },
  workers: {
    name: 'WORKERS',
    kind: kinds.workers,
    default: '1',
    description:
      'Threads that take requests, each with both ports; `auto` is one for each core. Limits, breakers and the choice of a replica hold for all of them together. With more than one the system must know `SO_REUSEPORT`, as Linux does.',
  },
  memoryLimitBytes: {
    name: 'MEMORY_LIMIT',
    kind: kinds.bytesBetween('64MiB', '1024GiB'),
    unset: "the container's limit, if there is one",
    description:
      'Memory that the gateway may take. What it keeps and how many connections it takes (`docs/sizing.md`) follow from it where they are not set, and it collects garbage earlier. Set it where no container limits the memory, as with several gateways on one machine.',
  },
  tlsCertFile: {
    name: 'TLS_CERT_FILE',
    kind: filePath,
    unset: 'plain HTTP',
    description:
      'A PEM file with the certificate of the port for users, and behind it those that lead to a root: the port then speaks TLS only. Renewed with the file, without a restart.',
  },
  tlsKeyFile: {
    name: 'TLS_KEY_FILE',
    kind: filePath,
    unset: 'plain HTTP',
    description: 'A PEM file with the key of that certificate, without a passphrase.',
  },
  httpPort: {
    name: 'HTTP_PORT',
    kind: kinds.port(0),
    unset: 'none',
    description:
      'A port for plain HTTP beside one for users that speaks TLS: it sends every request to the same place over `https://` (308), and forwards none. At `EXTERNAL_HOST`.',
  },
  httpsPublicPort: {
    name: 'HTTPS_PUBLIC_PORT',
    kind: kinds.port(1),
    unset: '`EXTERNAL_PORT`',
    description:
      'Where `HTTP_PORT` sends clients: the port at which they find that for users, such as 443 where a container maps it.',
  },
  trustedProxies: {
    name: 'TRUSTED_PROXIES',
    kind: addressList,
    default: '',
    description:
      'Peers whose `X-Forwarded-*`, `Forwarded` and `X-Request-Id` fields are believed; from all others they are replaced. Empty: nobody.',
  },
  viaName: {
    name: 'VIA_NAME',
    kind: kinds.token,
    default: 'faf-cab-gateway',
    description: 'What the gateway calls itself in `Via` on requests to services.',
  },
  viaOnResponses: {
    name: 'VIA_ON_RESPONSES',
    kind: kinds.flag,
    default: 'false',
    description: 'Adds `Via` to responses that come from services too.',
  },
  jwtSecret: {
    name: 'JWT_SECRET',
    kind: kinds.text('a secret'),
    unset: 'required without public keys',
    description:
      'The secret that HS tokens are signed with, shared with the service that issues them. Not needed where `JWKS_URL` or `JWT_PUBLIC_KEY` is set.',
    mask: maskAll,
    file: 'JWT_SECRET_FILE',
  },
  jwtSecretFile: {
    name: 'JWT_SECRET_FILE',
    kind: filePath,
    unset: 'none',
    description: 'A file holding the secret instead, such as a Docker secret.',
  },
  jwksUrl: {
    name: 'JWKS_URL',
    kind: httpUrl,
    unset: 'none',
    description:
      'Where the issuer of tokens publishes its public keys, as a JSON Web Key Set. Read at the start, every five minutes, and for an unknown `kid` at most once in 30 s; while it is down the last keys serve on.',
  },
  jwtPublicKey: {
    name: 'JWT_PUBLIC_KEY',
    kind: publicKey,
    unset: 'none',
    description: 'The one public key of an issuer that publishes none, instead of `JWKS_URL`.',
    mask: maskAll,
    file: 'JWT_PUBLIC_KEY_FILE',
  },
  jwtPublicKeyFile: {
    name: 'JWT_PUBLIC_KEY_FILE',
    kind: filePath,
    unset: 'none',
    description: 'A PEM file holding that key or its certificate.',
  },
  jwtAlgorithms: {
    name: 'JWT_ALGORITHMS',
    kind: kinds.choices(...HMAC_ALGORITHMS, ...PUBLIC_KEY_ALGORITHMS),
    unset: '`HS256` with a secret; `RS256`, `ES256` and `EdDSA` with public keys',
    description:
      'Signature algorithms accepted in tokens; all others, `none` among them, are refused. HS algorithms are only ever checked with the secret, all others only with public keys.',
  },
  jwtIssuer: {
    name: 'JWT_ISSUER',
    kind: kinds.text('the `iss` of tokens'),
    unset: 'any',
    description: 'Who must have issued a token, by its `iss`.',
  },
  jwtAudience: {
    name: 'JWT_AUDIENCE',
    kind: kinds.list('a comma-separated list of audiences'),
    unset: 'any',
    description: 'For whom a token must be: one of these must be in its `aud`.',
  },
  jwtSubjectClaims: {
    name: 'JWT_SUBJECT_CLAIM',
    kind: kinds.list('a comma-separated list of claims'),
    default: 'sub,uuid,user_id',
    description:
      'Claims that say who is calling: the first that a token has counts, and must be a string of at most 1,024 characters or a whole number up to 2^53.',
  },
  jwtRequireExpiry: {
    name: 'JWT_REQUIRE_EXPIRY',
    kind: kinds.flag,
    default: 'true',
    description: 'Refuses tokens without `exp`, which would be good for ever.',
  },
  jwtClockToleranceMs: {
    name: 'JWT_CLOCK_TOLERANCE',
    kind: kinds.durationOrZero,
    default: '5s',
    description: "By how much the issuer's clock may differ, when `exp` and `nbf` are judged.",
  },
  jwtMaxLifetimeMs: {
    name: 'JWT_MAX_LIFETIME',
    kind: kinds.longDuration,
    unset: 'any',
    description:
      'Refuses tokens that live longer from `iat` to `exp`, or do not say. It is also how long a revocation by `jti` or subject is kept; without it, for good.',
  },
  authIssuePaths: {
    name: 'AUTH_ISSUE_PATHS',
    kind: kinds.paths,
    default: '/userManagement/auth/login,/userManagement/auth/register,/userManagement/auth/refresh',
    description:
      'The only paths of users that need no token, for `POST` and byte for byte: login, registration, and what refreshes a token by a cookie. Their responses are watched for an access token.',
  },
  authRevokePaths: {
    name: 'AUTH_REVOKE_PATHS',
    kind: kinds.paths,
    default: '/userManagement/auth/logout',
    description:
      "Paths that revoke the caller's token before they are forwarded, for every method but `GET`, `HEAD`, `OPTIONS` and `TRACE`: logout.",
  },
  authQueryTokenPaths: {
    name: 'AUTH_QUERY_TOKEN_PATHS',
    kind: kinds.pathPrefixes,
    default: '/communication',
    description:
      'Paths, with all below them, where the token of a WebSocket handshake or event stream may be the `access_token` of the query, as browsers send it with SignalR. There it is removed from every request before anybody else sees it. `none`: nowhere.',
  },
  authCacheTtlMs: {
    name: 'AUTH_CACHE_TTL',
    kind: kinds.duration,
    default: '60s',
    description: 'How long a verified token is remembered as active; never for longer than it is accepted.',
  },
  authRequireActiveToken: {
    name: 'AUTH_REQUIRE_ACTIVE_TOKEN',
    kind: kinds.flag,
    default: 'false',
    description:
      'Refuses a valid token that is not known as active, instead of accepting and remembering it.',
  },
  authStoreFailure: {
    name: 'AUTH_STORE_FAILURE',
    kind: kinds.choice('refuse', 'allow'),
    default: 'refuse',
    description:
      'When the store cannot tell whether a token was revoked: refuse with 503, or accept a token that is otherwise valid.',
  },
  adminToken: {
    name: 'ADMIN_TOKEN',
    kind: kinds.text('a secret'),
    unset: 'none, and no `/admin`',
    description:
      'What operators send as `Authorization: Bearer` to `/admin` on the internal port. Not set: there is no such path.',
    mask: maskAll,
    file: 'ADMIN_TOKEN_FILE',
  },
  adminTokenFile: {
    name: 'ADMIN_TOKEN_FILE',
    kind: filePath,
    unset: 'none',
    description: 'A file holding that token instead, such as a Docker secret.',
  },
  redisUrl: {
    name: 'REDIS_URL',
    kind: redisAddress,
    unset: 'none',
    description:
      'The Redis that gateways share. Instead of `REDIS_HOST` and `REDIS_PORT`. Neither set: the embedded store of this one gateway.',
    mask: maskCredentials,
  },
  redisHost: {
    name: 'REDIS_HOST',
    kind: host,
    unset: 'none',
    description:
      'Host of the Redis that gateways share. Neither this, `REDIS_URL` nor `USE_REDIS_SHARDING` set: the embedded store.',
  },
  redisPort: {
    name: 'REDIS_PORT',
    kind: kinds.port(1),
    default: '6379',
    description: 'Port on `REDIS_HOST`.',
  },
  useRedisSharding: {
    name: 'USE_REDIS_SHARDING',
    kind: kinds.flag,
    default: 'false',
    description:
      'Spreads keys over the nodes in `REDIS_NODES`, instead of `REDIS_HOST`: cached responses and counts are on one of them, tokens and revocations on each. Three nodes or more, of which one may be away.',
  },
  redisNodes: {
    name: 'REDIS_NODES',
    kind: redisNodes,
    unset: 'none',
    description:
      'The nodes, the same on every gateway in any order. Which keys a node has goes by its name. `REDIS_USERNAME`, `REDIS_PASSWORD` and `REDIS_DB` hold for all of them.',
  },
  redisDb: {
    name: 'REDIS_DB',
    kind: countOrZero,
    default: '0',
    description: 'Number of the database in Redis, where it is not in `REDIS_URL`.',
  },
  redisUsername: {
    name: 'REDIS_USERNAME',
    kind: kinds.text('a user name'),
    unset: 'none',
    description: 'User to log in to Redis as, where it is not in `REDIS_URL`.',
  },
  redisPassword: {
    name: 'REDIS_PASSWORD',
    kind: kinds.text('a password'),
    unset: 'none',
    description: 'Password for Redis, where it is not in `REDIS_URL`.',
    mask: maskAll,
    file: 'REDIS_PASSWORD_FILE',
  },
  redisPasswordFile: {
    name: 'REDIS_PASSWORD_FILE',
    kind: filePath,
    unset: 'none',
    description: 'A file holding the password instead, such as a Docker secret.',
  },
  redisRequired: {
    name: 'REDIS_REQUIRED',
    kind: kinds.flag,
    default: 'true',
    description:
      'Whether a configured Redis (of several nodes, all but one) must respond within 5 s of the start. `false` starts without it: services reach each other, and users get 503 until it is there.',
  },
  storeTimeoutMs: {
    name: 'STORE_TIMEOUT',
    kind: kinds.duration,
    default: '50ms',
    description: 'Longest wait for one reply of the store.',
  },
  dataDir: {
    name: 'DATA_DIR',
    kind: kinds.text('the path of a directory'),
    default: './data',
    description: 'Directory of the embedded store; revoked tokens survive a restart there.',
  },
  globalConcurrency: {
    name: 'GLOBAL_CONCURRENCY',
    kind: count,
    default: '100',
    description: 'Requests of users in flight at a time, all services together; more get 429.',
  },
  perServiceLimit: {
    name: 'PER_SERVICE_LIMIT',
    kind: count,
    default: '10',
    description: 'The same for each service that sets no `concurrency` of its own.',
  },
  concurrencyQueue: {
    name: 'CONCURRENCY_QUEUE',
    kind: countOrZero,
    default: '0',
    description: 'Requests that may wait for a place, instead of getting the 429. 0: none.',
  },
  fairShare: {
    name: 'FAIR_SHARE',
    kind: kinds.share,
    default: '0.8',
    description:
      'The part of each of these limits that one caller may hold while another has asked within the last ten seconds, and always one at least. Of streams, WebSockets, logins, logouts and of `MAX_CONNECTIONS` nobody has more, even alone: those are held for as long as their client likes. A caller is an identity, or an address before authentication. 1: all of it.',
  },
  logoutConcurrency: {
    name: 'LOGOUT_CONCURRENCY',
    kind: count,
    default: '50',
    description:
      'Requests to `AUTH_REVOKE_PATHS` in flight at a time. They count for no other limit, so that a logout gets through when a service is full.',
  },
  maxStreams: {
    name: 'MAX_STREAMS',
    kind: countOrZero,
    default: '1000',
    description:
      'Streams of users open at a time, all services together: event streams, and responses that still run after `STREAM_AFTER`. They do not count as requests. 0: event streams get 429, and long responses go on counting as requests.',
  },
  serviceStreams: {
    name: 'SERVICE_STREAMS',
    kind: countOrZero,
    default: '100',
    description: 'The same for each service that sets no `streams` of its own.',
  },
  streamAfterMs: {
    name: 'STREAM_AFTER',
    kind: kinds.duration,
    default: '10s',
    description: 'A response that still runs so long after its request was admitted counts as a stream.',
  },
  rateLimitPerIdentity: {
    name: 'RATE_LIMIT_PER_IDENTITY',
    kind: rate,
    unset: 'none',
    description:
      'Requests that one identity (`JWT_SUBJECT_CLAIM`) may make in a time, all services and gateways together; more get 429.',
  },
  rateLimitPerAddress: {
    name: 'RATE_LIMIT_PER_ADDRESS',
    kind: rate,
    unset: 'none',
    description:
      'The same for each client address, IPv6 by /64, login included. Behind a proxy, set `TRUSTED_PROXIES` as well, or all its clients count as one.',
  },
  maxUpgrades: {
    name: 'MAX_UPGRADES',
    kind: countOrZero,
    default: '1000',
    description: 'WebSocket connections open at a time. 0: none are accepted.',
  },
  compressionCoders: {
    name: 'COMPRESSION_CODERS',
    kind: countOrZero,
    default: '64',
    description:
      'Responses that are compressed at a time, each with about 1 MiB, all threads together; one client has a quarter of them at most. What is beyond is sent uncompressed. 0: nothing is compressed.',
  },
  maxConnections: {
    name: 'MAX_CONNECTIONS',
    kind: countOrZero,
    unset: '20000, or fewer where memory is limited',
    description:
      'Connections of clients open at a time on each port; more are closed at once. 0: no limit. Not set: as many as the memory limit carries (`docs/sizing.md`), up to 20,000.',
  },
  maxBodyBytes: {
    name: 'MAX_BODY_BYTES',
    kind: kinds.bytes(0),
    default: '0',
    description: 'Largest content of a request; more gets 413. 0: no limit.',
  },
  maxRequestHeadBytes: {
    name: 'MAX_REQUEST_HEAD',
    kind: kinds.bytesBetween('1KiB', '1MiB'),
    default: '64KiB',
    description:
      'Largest head of a request: request target, field names and field values together. A larger head gets a 431.',
  },
  maxResponseHeadBytes: {
    name: 'MAX_RESPONSE_HEAD',
    kind: kinds.bytesBetween('1KiB', '1MiB'),
    default: '64KiB',
    description:
      "Largest head of a service's response: field names and field values together. A larger head is a 502 that says so, and no failure of the replica.",
  },
  requestTimeoutMs: {
    name: 'REQUEST_TIMEOUT',
    kind: kinds.duration,
    default: '3s',
    description: "Longest time from a request's arrival to the start of its response; then 504.",
  },
  headersTimeoutMs: {
    name: 'HEADERS_TIMEOUT',
    kind: kinds.duration,
    default: '20s',
    description:
      "Longest time for a request's head to arrive, from the connection on; then the connection is closed.",
  },
  keepAliveTimeoutMs: {
    name: 'KEEP_ALIVE_TIMEOUT',
    kind: kinds.duration,
    default: '75s',
    description:
      "How long a client's idle connection stays open. Longer than what is in front (load balancers: mostly 60 s), so that no request meets a connection that is just being closed.",
  },
  connectionMaxAgeMs: {
    name: 'CONNECTION_MAX_AGE',
    kind: kinds.durationOrZero,
    default: '0',
    description:
      'Age of a client connection from which its next response says `Connection: close`, so that clients spread over new gateways too. 0: no limit.',
  },
  bodyTimeoutMs: {
    name: 'BODY_TIMEOUT',
    kind: kinds.duration,
    unset: 'the `REQUEST_TIMEOUT` of the service',
    description:
      'Time over which an upload must bring `MIN_UPLOAD_RATE`; otherwise it gets a 408. An upload that flows may take as long as it likes.',
  },
  minUploadRate: {
    name: 'MIN_UPLOAD_RATE',
    kind: kinds.bytes(0),
    default: '1KiB',
    description: 'Bytes a second that an upload must bring to go on. 0: any byte will do.',
  },
  sendTimeoutMs: {
    name: 'SEND_TIMEOUT',
    kind: kinds.durationOrZero,
    default: '1m',
    description:
      'Longest time that a client may leave its response unread; then the connection is cut. 0: no limit.',
  },
  upstreamTimeoutMs: {
    name: 'UPSTREAM_TIMEOUT',
    kind: kinds.duration,
    default: '10s',
    description: 'Longest time without a byte of a response that has begun; then the connection is cut.',
  },
  upstreamKeepAliveMs: {
    name: 'UPSTREAM_KEEP_ALIVE',
    kind: kinds.duration,
    default: '4s',
    description:
      'How long an idle connection to a replica is kept whose responses do not say in `Keep-Alive` how long the replica keeps it. It must be shorter than what the service keeps: Node has 5 s and says so, gunicorn 2 s, Tomcat 20 s.',
  },
  upstreamConnectionAgeMs: {
    name: 'UPSTREAM_CONNECTION_AGE',
    kind: kinds.durationOrZero,
    default: '30s',
    description:
      'Age from which a connection to an upstream that is given by name ends after the request that it carries, so that DNS is asked again. Connections to IP addresses have no age. 0: no limit.',
  },
  drainTimeoutMs: {
    name: 'DRAIN_TIMEOUT',
    kind: kinds.durationOrZero,
    default: '8s',
    description:
      'Time that requests in flight have to finish when the gateway is told to stop. Whoever stops it must wait longer before it kills: `docker stop` waits for 10 s, unless it is told otherwise. 0: none.',
  },
  drainGraceMs: {
    name: 'DRAIN_GRACE',
    kind: kinds.durationOrZero,
    unset: '`6s` with `REUSE_PORT`, otherwise 0',
    description:
      'Of that time, how long idle connections stay open: a request that arrives there meanwhile is served, with `Connection: close`. Then they are closed. 0: they are closed at once.',
  },
  getCacheTtlMs: {
    name: 'GET_CACHE_TTL',
    kind: kinds.cacheTtl,
    default: '30s',
    description:
      'How long a response to a GET is stored that does not say so itself. explicit (or 0): only what says so is stored. off: no cache.',
  },
  cacheStaleIfErrorMs: {
    name: 'CACHE_STALE_IF_ERROR',
    kind: kinds.durationOrZero,
    default: '60s',
    description:
      'How long after its lifetime a stored response may be served when the service fails or no replica is up. 0: only where the response says so itself.',
  },
  cacheMaxEntryBytes: {
    name: 'CACHE_MAX_ENTRY_BYTES',
    kind: kinds.bytes(1),
    default: '1MiB',
    description: 'Largest response that is stored.',
  },
  cacheMaxBytes: {
    name: 'CACHE_MAX_BYTES',
    kind: kinds.bytes(1),
    unset: '64 MiB, or less where memory is limited',
    description:
      'Memory for stored responses, in Redis or, without it, in the gateway; when it is full some are removed before their time. Not set: a quarter of what the memory limit leaves, up to 64 MiB; in Redis 64 MiB.',
  },
  circuitBreakerThreshold: {
    name: 'CIRCUIT_BREAKER_THRESHOLD',
    kind: count,
    default: '3',
    description:
      'Failures of one replica within the window that open its breaker, if they are also `CIRCUIT_BREAKER_RATIO` of its calls there. So many connections that fail without a response in between always do.',
  },
  circuitBreakerRatio: {
    name: 'CIRCUIT_BREAKER_RATIO',
    kind: kinds.share,
    default: '0.5',
    description:
      'Part of the calls of one replica within the window that must have failed before its breaker opens; 0: their number alone decides.',
  },
  circuitBreakerWindowMs: {
    name: 'CIRCUIT_BREAKER_WINDOW',
    kind: kinds.duration,
    unset: "`REQUEST_TIMEOUT`, or the service's `timeouts.request`, x 3.5",
    description: 'Time within which failures are counted together.',
  },
  circuitBreakerCooldownMs: {
    name: 'CIRCUIT_BREAKER_COOLDOWN',
    kind: kinds.duration,
    default: '30s',
    description: 'Time an open breaker keeps requests away before it tries one.',
  },
  breakerShared: {
    name: 'BREAKER_SHARED',
    kind: kinds.flag,
    default: 'true',
    description:
      'Tells the other gateways on the same Redis when a breaker opens or closes, and opens a breaker when they say so.',
  },
  slowStartMs: {
    name: 'SLOW_START',
    kind: kinds.durationOrZero,
    default: '5s',
    description:
      'Time in which a replica that joins or comes back under load gets up to its full part of it, from a tenth. 0: at once.',
  },
  stickySecret: {
    name: 'STICKY_SECRET',
    kind: kinds.text('a secret'),
    unset: '`JWT_SECRET`',
    description:
      'The secret that cookies of `balance: { sticky: cookie }` are signed with, the same for all gateways. Without it and `JWT_SECRET` each start of the gateway has its own: then clients lose their replica when it restarts.',
    mask: maskAll,
    file: 'STICKY_SECRET_FILE',
  },
  stickySecretFile: {
    name: 'STICKY_SECRET_FILE',
    kind: filePath,
    unset: 'none',
    description: 'A file holding that secret instead, such as a Docker secret.',
  },
  serviceDiscovery: {
    name: 'SERVICE_DISCOVERY_URL',
    kind: discoveryAddress,
    unset: 'none',
    description:
      "Who lists replicas: the stack's registry (`http://service-discovery:9000`), DNS (`dns://tasks.{name}-service`) or Consul (`consul://consul:8500`). Not set: the upstreams of each service.",
  },
  serviceDiscoveryToken: {
    name: 'SERVICE_DISCOVERY_TOKEN',
    kind: kinds.text('a token'),
    unset: 'none',
    description: 'The ACL token for Consul.',
    mask: maskAll,
    file: 'SERVICE_DISCOVERY_TOKEN_FILE',
  },
  serviceDiscoveryTokenFile: {
    name: 'SERVICE_DISCOVERY_TOKEN_FILE',
    kind: filePath,
    unset: 'none',
    description: 'A file holding the token instead, such as a Docker secret.',
  },
  serviceDiscoveryStack: {
    name: 'SERVICE_DISCOVERY_STACK',
    kind: stackName,
    unset: 'any stack',
    description:
      'The Swarm stack whose prefix (`padstack_`) may stand before a name in the registry. Set it when one registry lists several stacks: then the names of the others are unknown ones.',
  },
  serviceRefreshIntervalMs: {
    name: 'SERVICE_REFRESH_INTERVAL',
    kind: kinds.duration,
    default: '30s',
    description: 'Time between two looks at the registry.',
  },
  serviceDiscoveryIncrement: {
    name: 'SERVICE_DISCOVERY_INCREMENT',
    kind: kinds.template,
    unset: 'found out: `/increment?service_id={host}` or `/services/increment?id={id}`',
    description:
      "Path that is called with PUT for each forwarded request; `{id}`, `{host}` and `{port}` are the replica's. Not set: whichever of the two the registry accepts.",
  },
  serviceDiscoveryDeregister: {
    name: 'SERVICE_DISCOVERY_DEREGISTER',
    kind: kinds.template,
    unset: 'found out: `/deregister?service_id={host}` or `/deregister?id={host}`',
    description:
      "Path that is called with DELETE when a replica's breaker opens. It is not called when it names others as well. Not set: whichever of the two goes with the registry's increments.",
  },
  gatewayFile: {
    name: 'GATEWAY_FILE',
    kind: filePath,
    unset:
      '`gateway.config.ts`, `gateway.yaml` or `gateway.json` in the working directory, else the ten built-in services',
    description:
      'A file in TypeScript, YAML or JSON that says which services there are, and what holds for each.',
  },
  logLevel: {
    name: 'LOG_LEVEL',
    kind: kinds.choice('error', 'warn', 'info', 'debug'),
    default: 'info',
    description: 'The least important messages to log.',
  },
  logFormat: {
    name: 'LOG_FORMAT',
    kind: kinds.choice('auto', 'json', 'pretty'),
    default: 'auto',
    description: 'One JSON object a line, or lines for people; `auto` is JSON unless stdout is a terminal.',
  },
  accessLogSample: {
    name: 'ACCESS_LOG_SAMPLE',
    kind: kinds.share,
    default: '1',
    description:
      'The share of requests of users that leave an access line. Failed and slow ones always do, and so do all requests on the internal port.',
  },
  accessLogSlowMs: {
    name: 'ACCESS_LOG_SLOW',
    kind: kinds.duration,
    default: '1s',
    description: 'A request that takes as long counts as slow.',
  },
  externalMetrics: {
    name: 'EXTERNAL_METRICS',
    kind: kinds.flag,
    default: 'false',
    description:
      'Shows `/metrics` on the port for users as well, to everybody: replica addresses and traffic are in it. Otherwise they are on the internal port alone. The image and the playground say `true`, as the original does; in production say `false`.',
  },
  serverTiming: {
    name: 'SERVER_TIMING',
    kind: kinds.flag,
    default: 'false',
    description: 'Tells clients in `Server-Timing` where the time until their response began has gone.',
  },
  heapSnapshotDir: {
    name: 'HEAP_SNAPSHOT_DIR',
    kind: kinds.text('the path of a directory'),
    unset: 'none is taken',
    description:
      'Where SIGURG writes a heap snapshot: all that is in the memory of the main thread, secrets too. Only the user of the gateway can read it.',
  },
  otlpEndpoint: {
    name: 'OTEL_EXPORTER_OTLP_ENDPOINT',
    kind: httpUrl,
    unset: 'nothing is recorded',
    description:
      'The OpenTelemetry collector that gets a span for each request and each try at a replica, by OTLP over HTTP, such as `http://collector:4318`.',
  },
} as const satisfies Record<string, Variable>;

export type Field = keyof typeof variables;

type Value<V extends Variable> =
  | z.output<V['kind']['schema']>
  | (V extends { default: string } ? never : undefined);

/** The value of each variable, defaults filled in, before some of them are drawn together into Settings. */
export type Values = { readonly [F in Field]: Value<(typeof variables)[F]> };

/** The rows of the table. */
export function listVariables(): readonly [Field, Variable][] {
  // Object.entries forgets the type of the keys; a const object has no others.
  return Object.entries(variables) as [Field, Variable][];
}
