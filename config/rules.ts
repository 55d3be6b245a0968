import { revokingRequests } from '../lib/auth/revocation/revokePaths.ts';
import { isHmac } from '../lib/auth/tokens/algorithms.ts';
import { isPublicKey } from '../lib/auth/tokens/pemKey.ts';
import { quote } from './report/problems.ts';
import { MOST_CACHE_BYTES } from './sections/memoryPlan.ts';
import type { Field, Values } from './variables.ts';

const MIN_SECRET_BYTES = 32;
const OWN_SECRET = 'such as the output of: openssl rand -base64 48';

// Parts of the secrets that documents, templates and .env.example show; no random secret holds one by chance.
const EXAMPLES =
  /example|your[-_]?(jwt[-_]?)?secret|secret[-_]?key[-_]?here|change[-_]?(me|this)|placeholder/i;

/** What several settings must be together. */
interface Rule {
  /** Not judged while one of these is wrong by itself. */
  readonly about: readonly Field[];
  /** The problem, or undefined when all is well. */
  readonly problem: (values: Values) => string | undefined;
}

const rules: readonly Rule[] = [
  { about: ['jwtSecret', 'jwksUrl', 'jwtPublicKey'], problem: missingKeys },
  { about: ['jwksUrl', 'jwtPublicKey'], problem: twoPublicKeys },
  { about: ['jwtAlgorithms', 'jwtSecret', 'jwksUrl', 'jwtPublicKey'], problem: algorithmWithoutKey },
  { about: ['jwtSecret'], problem: publicJwtSecret },
  { about: ['jwtSecret', 'environment'], problem: weakJwtSecret },
  { about: ['adminToken', 'environment'], problem: weakAdminToken },
  { about: ['authIssuePaths', 'authRevokePaths'], problem: publicLogout },
  { about: ['externalHost', 'externalPort', 'internalHost', 'internalPort'], problem: samePort },
  { about: ['redisHost', 'redisUrl'], problem: twoRedises },
  { about: ['useRedisSharding', 'redisNodes'], problem: shardingWithoutNodes },
  { about: ['useRedisSharding', 'redisUrl'], problem: shardingBesideUrl },
  { about: ['redisUsername', 'redisPassword', 'redisDb', 'redisUrl'], problem: twiceInUrl },
  { about: ['cacheMaxEntryBytes', 'cacheMaxBytes'], problem: entryBeyondCache },
];

/** The problems between settings that are each right by themselves. */
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

/** An algorithm that no token could ever be accepted with. */
function algorithmWithoutKey(values: Values): string | undefined {
  const { jwtAlgorithms = [], jwtSecret, jwksUrl, jwtPublicKey } = values;
  const hasPublicKeys = jwksUrl !== undefined || jwtPublicKey !== undefined;
  const [useless] = jwtAlgorithms.filter((name) => (isHmac(name) ? jwtSecret === undefined : !hasPublicKeys));
  if (useless === undefined) return undefined;
  const missing = isHmac(useless) ? 'JWT_SECRET' : 'JWKS_URL or JWT_PUBLIC_KEY_FILE';
  return `JWT_ALGORITHMS holds ${useless}: expected ${missing} to be set as well`;
}

/** Everybody who has it could sign tokens with it. */
function publicJwtSecret({ jwtSecret }: Values): string | undefined {
  if (jwtSecret === undefined || !isPublicKey(jwtSecret)) return undefined;
  return 'JWT_SECRET holds a key in PEM: expected a secret, and JWT_PUBLIC_KEY to hold a public key';
}

function weakJwtSecret({ environment, jwtSecret }: Values): string | undefined {
  return environment === 'production' ? weakness('JWT_SECRET', jwtSecret) : undefined;
}

/** A path without a token has none to revoke: a logout there would get its 2xx, and the token stay good. */
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
  // `::` takes the port on every address.
  const overlap = externalHost === internalHost || externalHost === '::' || internalHost === '::';
  if (!overlap || externalPort === 0 || externalPort !== internalPort) return undefined;
  return `INTERNAL_PORT is "${internalPort}": expected another port than EXTERNAL_PORT, or another host`;
}

function twoRedises({ redisHost, redisUrl }: Values): string | undefined {
  if (redisHost === undefined || redisUrl === undefined) return undefined;
  return 'REDIS_HOST and REDIS_URL are both set: expected only one of them';
}

/** Which node has which revocation must not be guessed. */
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

/** Whatever the memory of this machine: not set, the cache has room for such a response at least. */
function entryBeyondCache({
  cacheMaxEntryBytes,
  cacheMaxBytes = MOST_CACHE_BYTES,
}: Values): string | undefined {
  if (cacheMaxEntryBytes <= cacheMaxBytes) return undefined;
  return `CACHE_MAX_ENTRY_BYTES is ${quote(cacheMaxEntryBytes)}: expected at most CACHE_MAX_BYTES, ${cacheMaxBytes}`;
}
