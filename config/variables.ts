import type { z } from 'zod';
import { addressList, host, httpUrl, redisAddress } from './addresses.ts';
import type { Kind } from './kinds.ts';
import * as kinds from './kinds.ts';
import { maskAll, maskCredentials } from './problems.ts';

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
    description: 'With `production`, a `JWT_SECRET` that is short or an example is refused.',
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
      'Address of the port for services. It asks for no token, so it must not be reachable from outside: bind it to a private address, or do not publish it.',
  },
  internalPort: {
    name: 'INTERNAL_PORT',
    kind: kinds.port(0),
    default: '8001',
    description: 'Port for services calling each other under `/internal`.',
  },
  trustedProxies: {
    name: 'TRUSTED_PROXIES',
    kind: addressList,
    default: '',
    description:
      'Peers whose `X-Forwarded-*` and `Forwarded` fields are believed; from all others they are replaced. Empty: nobody.',
  },
  viaName: {
    name: 'VIA_NAME',
    kind: kinds.token,
    default: 'faf-cab-gateway',
    description: 'What the gateway calls itself in `Via` on requests to services.',
  },
  viaOnAnswers: {
    name: 'VIA_ON_ANSWERS',
    kind: kinds.flag,
    default: 'false',
    description: 'Adds `Via` to answers that come from services too.',
  },
  jwtSecret: {
    name: 'JWT_SECRET',
    kind: kinds.text('a secret'),
    unset: 'required',
    description: 'The secret that tokens are signed with, shared with the service that issues them.',
    mask: maskAll,
    file: 'JWT_SECRET_FILE',
  },
  jwtSecretFile: {
    name: 'JWT_SECRET_FILE',
    kind: filePath,
    unset: 'none',
    description: 'A file holding the secret instead, such as a Docker secret.',
  },
  jwtAlgorithms: {
    name: 'JWT_ALGORITHMS',
    kind: kinds.choices('HS256', 'HS384', 'HS512'),
    default: 'HS256',
    description: 'Signature algorithms accepted in tokens; all others, `none` among them, are refused.',
  },
  authCacheTtlMs: {
    name: 'AUTH_CACHE_TTL',
    kind: kinds.duration,
    default: '60s',
    description: 'How long a verified token is remembered as active; never past its own expiry.',
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
      'When the store cannot tell whether a token was revoked: answer 503, or accept a token that is otherwise valid.',
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
      'Host of the Redis that gateways share. Neither this nor `REDIS_URL` set: the embedded store.',
  },
  redisPort: {
    name: 'REDIS_PORT',
    kind: kinds.port(1),
    default: '6379',
    description: 'Port on `REDIS_HOST`.',
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
      'Whether a configured Redis must answer at the start. `false` starts without it and waits: `/readyz` says 503 until it is there.',
  },
  storeTimeoutMs: {
    name: 'STORE_TIMEOUT',
    kind: kinds.duration,
    default: '50ms',
    description: 'Longest wait for one answer of the store.',
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
    description: 'Requests of users in flight at a time, all services together; past it 429.',
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
  maxUpgrades: {
    name: 'MAX_UPGRADES',
    kind: countOrZero,
    default: '1000',
    description: 'WebSocket connections open at a time. 0: none are accepted.',
  },
  maxConnections: {
    name: 'MAX_CONNECTIONS',
    kind: countOrZero,
    default: '20000',
    description: 'Connections of clients open at a time on each port; more are closed unheard. 0: no limit.',
  },
  maxBodyBytes: {
    name: 'MAX_BODY_BYTES',
    kind: kinds.bytes(0),
    default: '0',
    description: 'Largest request body; past it 413. 0: no limit.',
  },
  requestTimeoutMs: {
    name: 'REQUEST_TIMEOUT',
    kind: kinds.duration,
    default: '3s',
    description: "Longest time from a request's arrival to the start of its answer; past it 504.",
  },
  headersTimeoutMs: {
    name: 'HEADERS_TIMEOUT',
    kind: kinds.duration,
    default: '20s',
    description:
      "Longest time for a request's head to arrive, from the connection on; past it the connection is closed.",
  },
  bodyTimeoutMs: {
    name: 'BODY_TIMEOUT',
    kind: kinds.duration,
    unset: 'the `REQUEST_TIMEOUT` of the service',
    description:
      'Time over which an upload must bring `MIN_UPLOAD_RATE`; past it 504. An upload that flows may take as long as it likes.',
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
      'Longest time that a client may leave its answer unread; past it the connection is cut. 0: no limit.',
  },
  upstreamTimeoutMs: {
    name: 'UPSTREAM_TIMEOUT',
    kind: kinds.duration,
    default: '10s',
    description: 'Longest silence within an answer that has started; past it the connection is cut.',
  },
  drainTimeoutMs: {
    name: 'DRAIN_TIMEOUT',
    kind: kinds.durationOrZero,
    default: '10s',
    description: 'Time that requests in flight have to finish when the gateway is told to stop. 0: none.',
  },
  getCacheTtlMs: {
    name: 'GET_CACHE_TTL',
    kind: kinds.durationOrZero,
    default: '30s',
    description: 'How long an answer to a GET is kept that does not say so itself. 0: no cache.',
  },
  cacheMaxEntryBytes: {
    name: 'CACHE_MAX_ENTRY_BYTES',
    kind: kinds.bytes(1),
    default: '1MiB',
    description: 'Largest answer that is kept.',
  },
  cacheMaxBytes: {
    name: 'CACHE_MAX_BYTES',
    kind: kinds.bytes(1),
    default: '64MiB',
    description: 'Memory for kept answers; the least recently used leave first.',
  },
  circuitBreakerThreshold: {
    name: 'CIRCUIT_BREAKER_THRESHOLD',
    kind: count,
    default: '3',
    description: 'Failures of one replica within the window that open its breaker.',
  },
  circuitBreakerWindowMs: {
    name: 'CIRCUIT_BREAKER_WINDOW',
    kind: kinds.duration,
    unset: '`REQUEST_TIMEOUT` x 3.5',
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
      'Time in which a replica that joins or comes back under load gets up to its full part of it. 0: at once.',
  },
  serviceDiscoveryUrl: {
    name: 'SERVICE_DISCOVERY_URL',
    kind: httpUrl,
    unset: 'none',
    description:
      'The registry that lists replicas under `/services`. Not set: the upstreams of each service.',
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
    default: '/increment?service_id={id}',
    description: 'Path that is called with PUT for each forwarded request; `{id}` is the replica.',
  },
  serviceDiscoveryDeregister: {
    name: 'SERVICE_DISCOVERY_DEREGISTER',
    kind: kinds.template,
    default: '/deregister?service_id={id}',
    description: 'Path that is called with DELETE when the breaker of replica `{id}` opens.',
  },
  servicesFile: {
    name: 'SERVICES_FILE',
    kind: filePath,
    unset: 'the ten built-in services',
    description: 'A JSON file of services that takes the place of the built-in ones.',
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
