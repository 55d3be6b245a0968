import { revokingRequests } from '../lib/auth/revocation/revokePaths.ts';
import { isHmac } from '../lib/auth/tokens/algorithms.ts';
import { isPublicKey } from '../lib/auth/tokens/pemKey.ts';
import { quote } from './report/problems.ts';
import { MOST_CACHE_BYTES } from './sections/memoryPlan.ts';
import type { Field, Values } from './variables.ts';

const MIN_SECRET_BYTES = 32;
const OWN_SECRET = 'such as the output of: openssl rand -base64 48';

// Parts of the secrets in documents, templates and .env.example. A random secret does not contain one by chance.
const EXAMPLES =
  /example|your[-_]?(jwt[-_]?)?secret|secret[-_]?key[-_]?here|change[-_]?(me|this)|placeholder/i;

/** A rule that several settings must follow together. */
interface Rule {
  /** The rule is not checked while one of these settings is wrong by itself. */
  readonly about: readonly Field[];
  /** The problem, or undefined when the rule is followed. */
  readonly problem: (values: Values) => string | undefined;
}

const rules: readonly Rule[] = [
  { about: ['jwtSecret', 'jwksUrl', 'jwtPublicKey'], problem: missingKeys },
  { about: ['jwksUrl', 'jwtPublicKey'], problem: twoPublicKeys },
  { about: ['jwtAlgorithms', 'jwtSecret', 'jwksUrl', 'jwtPublicKey'], problem: algorithmWithoutKey },
  { about: ['jwtSecret'], problem: publicJwtSecret },
  { about: ['jwtSecret', 'environment'], problem: weakJwtSecret },
  { about: ['adminToken', 'environment'], problem: weakAdminToken },
  { about: ['stickySecret', 'environment'], problem: weakStickySecret },
  { about: ['authIssuePaths', 'authRevokePaths'], problem: publicLogout },
  { about: ['externalHost', 'externalPort', 'internalHost', 'internalPort'], problem: samePort },
  { about: ['httpPort', 'tlsCertFile', 'tlsKeyFile'], problem: redirectToNothing },
  {
    about: ['httpPort', 'externalHost', 'externalPort', 'internalHost', 'internalPort'],
    problem: sameHttpPort,
  },
  { about: ['redisHost', 'redisUrl'], problem: twoRedises },
  { about: ['useRedisSharding', 'redisNodes'], problem: shardingWithoutNodes },
  { about: ['useRedisSharding', 'redisUrl'], problem: shardingBesideUrl },
  { about: ['redisUsername', 'redisPassword', 'redisDb', 'redisUrl'], problem: twiceInUrl },
  { about: ['cacheMaxEntryBytes', 'cacheMaxBytes'], problem: entryBeyondCache },
];

/** The problems of settings that are each valid but do not fit together. */
export function brokenRules(values: Values, wrong: ReadonlySet<Field>): string[] {
  return rules
    .filter(({ about }) => !about.some((field) => wrong.has(field)))
    .flatMap(({ problem }) => problem(values) ?? []);
}

function missingKeys({ jwtSecret, jwksUrl, jwtPublicKey }: Values): string | undefined {
  if ([jwtSecret, jwksUrl, jwtPublicKey].some((key) => key !== undefined)) return undefined;
  return (
    'JWT_SECRET is not set: expected the secret that tokens are signed with, JWT_SECRET_FILE naming a file that ' +
    'holds it, or public keys by JWKS_URL or JWT_PUBLIC_KEY_FILE'
  );
}

function twoPublicKeys({ jwksUrl, jwtPublicKey }: Values): string | undefined {
  if (jwksUrl === undefined || jwtPublicKey === undefined) return undefined;
  return 'JWKS_URL and JWT_PUBLIC_KEY are both set: expected only one of them';
}

/** An algorithm for which there is no key, so that no token could ever be accepted. */
function algorithmWithoutKey(values: Values): string | undefined {
  const { jwtAlgorithms = [], jwtSecret, jwksUrl, jwtPublicKey } = values;
  const hasPublicKeys = jwksUrl !== undefined || jwtPublicKey !== undefined;
  const [useless] = jwtAlgorithms.filter((name) => (isHmac(name) ? jwtSecret === undefined : !hasPublicKeys));
  if (useless === undefined) return undefined;
  const missing = isHmac(useless) ? 'JWT_SECRET' : 'JWKS_URL or JWT_PUBLIC_KEY_FILE';
  return `JWT_ALGORITHMS holds ${useless}: expected ${missing} to be set as well`;
}

/** A public key as JWT_SECRET: everybody who has it could sign tokens. */
function publicJwtSecret({ jwtSecret }: Values): string | undefined {
  if (jwtSecret === undefined || !isPublicKey(jwtSecret)) return undefined;
  return 'JWT_SECRET holds a key in PEM: expected a secret, and JWT_PUBLIC_KEY to hold a public key';
}

function weakJwtSecret({ environment, jwtSecret }: Values): string | undefined {
  return environment === 'production' ? weakness('JWT_SECRET', jwtSecret) : undefined;
}

function weakStickySecret({ environment, stickySecret }: Values): string | undefined {
  return environment === 'production' && stickySecret !== undefined
    ? weakness('STICKY_SECRET', stickySecret)
    : undefined;
}

/** A path that needs no token cannot revoke one: a logout there would get a 2xx, and its token would stay valid. */
function publicLogout({ authIssuePaths, authRevokePaths }: Values): string | undefined {
  const isRevoking = revokingRequests(authRevokePaths);
  const both = authIssuePaths.find((path) => isRevoking({ method: 'POST', headers: {} }, path));
  if (both === undefined) return undefined;
  return (
    `AUTH_ISSUE_PATHS holds ${quote(both)}, which is one of AUTH_REVOKE_PATHS: expected it in only one of them, ` +
    'because no token is revoked where none is needed'
  );
}

function weakAdminToken({ environment, adminToken }: Values): string | undefined {
  return environment === 'production' ? weakness('ADMIN_TOKEN', adminToken) : undefined;
}

function weakness(name: string, secret: string | undefined): string | undefined {
  if (secret === undefined) return undefined;
  if (EXAMPLES.test(secret)) {
    return `${name} is an example that anyone can read: in production, expected one of your own, ${OWN_SECRET}`;
  }
  const bytes = Buffer.byteLength(secret);
  if (bytes >= MIN_SECRET_BYTES) return undefined;
  return `${name} is ${bytes} bytes long: in production, expected at least ${MIN_SECRET_BYTES}, ${OWN_SECRET}`;
}

function samePort({ externalHost, externalPort, internalHost, internalPort }: Values): string | undefined {
  // `::` uses the port on every address.
  const overlap = externalHost === internalHost || externalHost === '::' || internalHost === '::';
  if (!overlap || externalPort === 0 || externalPort !== internalPort) return undefined;
  return `INTERNAL_PORT is "${internalPort}": expected another port than EXTERNAL_PORT, or another host`;
}

/** Without TLS clients would be sent where nobody speaks it. */
function redirectToNothing({ httpPort, tlsCertFile, tlsKeyFile }: Values): string | undefined {
  if (httpPort === undefined || (tlsCertFile !== undefined && tlsKeyFile !== undefined)) return undefined;
  return `HTTP_PORT is "${httpPort}" and the port for users speaks no TLS: expected TLS_CERT_FILE and TLS_KEY_FILE as well`;
}

function sameHttpPort(values: Values): string | undefined {
  const { httpPort, externalHost, externalPort, internalHost, internalPort } = values;
  if (httpPort === undefined || httpPort === 0) return undefined;
  if (httpPort === externalPort)
    return `HTTP_PORT is "${httpPort}": expected another port than EXTERNAL_PORT`;
  const overlap = externalHost === internalHost || externalHost === '::' || internalHost === '::';
  if (!overlap || httpPort !== internalPort) return undefined;
  return `HTTP_PORT is "${httpPort}": expected another port than INTERNAL_PORT, or another host`;
}

function twoRedises({ redisHost, redisUrl }: Values): string | undefined {
  if (redisHost === undefined || redisUrl === undefined) return undefined;
  return 'REDIS_HOST and REDIS_URL are both set: expected only one of them';
}

/** Sharding without a list of nodes: the gateway must not guess which node has which keys. */
function shardingWithoutNodes({ useRedisSharding, redisNodes }: Values): string | undefined {
  if (!useRedisSharding || redisNodes !== undefined) return undefined;
  return 'USE_REDIS_SHARDING is true and REDIS_NODES is not set: expected the nodes, as name:host:port,...';
}

function shardingBesideUrl({ useRedisSharding, redisUrl }: Values): string | undefined {
  if (!useRedisSharding || redisUrl === undefined) return undefined;
  return 'USE_REDIS_SHARDING is true and REDIS_URL is set: expected only one of them';
}

function twiceInUrl({ redisUrl, redisUsername, redisPassword, redisDb }: Values): string | undefined {
  const inUrl = redisUrl === undefined ? undefined : URL.parse(redisUrl);
  if (inUrl?.username && redisUsername !== undefined) {
    return 'REDIS_USERNAME is set and REDIS_URL holds a user: expected only one of them';
  }
  if (inUrl?.password && redisPassword !== undefined) {
    return 'REDIS_PASSWORD is set and REDIS_URL holds a password: expected only one of them';
  }
  if (redisDb !== 0 && /\d/.test(inUrl?.pathname ?? '')) {
    return `REDIS_DB is "${redisDb}" and REDIS_URL holds a number: expected only one of them`;
  }
  return undefined;
}

/** Only a CACHE_MAX_BYTES that is set can be too small: its default has room for the largest response. */
function entryBeyondCache({
  cacheMaxEntryBytes,
  cacheMaxBytes = MOST_CACHE_BYTES,
}: Values): string | undefined {
  if (cacheMaxEntryBytes <= cacheMaxBytes) return undefined;
  return `CACHE_MAX_ENTRY_BYTES is ${quote(cacheMaxEntryBytes)}: expected at most CACHE_MAX_BYTES, ${cacheMaxBytes}`;
}
