import { isHmac } from '../../lib/auth/tokens/algorithms.ts';
import type { Settings } from '../config.ts';
import { inMib } from '../kinds/bytes.ts';
import { formatDuration } from '../kinds/durations.ts';
import type { PolicySettings } from '../policies/policies.ts';
import { authWarnings } from '../sections/serviceRules.ts';
import { policyWarnings } from './policyWarnings.ts';
import { strangersIn } from './strangers.ts';

export interface WarningSources {
  /** The environment of the process, without `.env`. */
  readonly env: NodeJS.ProcessEnv;
  readonly dotenv: NodeJS.Dict<string>;
  /** The settings that result from both. */
  readonly settings: Settings;
}

/** What the checks for settings without effect need to know. */
interface Question {
  readonly settings: Settings;
  /** Whether the variable is set and not empty. */
  readonly isSet: (name: string) => boolean;
}

/** Variables that have no effect because of other settings. */
interface Idle {
  readonly names: readonly string[];
  readonly when: (settings: Settings) => boolean;
  readonly why: string;
}

const IDLE: readonly Idle[] = [
  {
    names: ['NODE_TLS_REJECT_UNAUTHORIZED'],
    when: () => true,
    why: 'every certificate is verified; NODE_EXTRA_CA_CERTS names a file with further CAs',
  },
  {
    names: ['HTTPS_PUBLIC_PORT'],
    when: ({ httpPort }) => httpPort === undefined,
    why: 'HTTP_PORT is not set, and nobody is sent there',
  },
  {
    names: ['REDIS_NODES'],
    when: ({ redisNodes }) => redisNodes.length === 0,
    why: 'USE_REDIS_SHARDING is not true',
  },
  {
    names: ['REDIS_HOST', 'REDIS_PORT'],
    when: ({ redisNodes }) => redisNodes.length > 0,
    why: 'USE_REDIS_SHARDING is true, so REDIS_NODES says where Redis is',
  },
  {
    names: [
      'REDIS_PORT',
      'REDIS_DB',
      'REDIS_USERNAME',
      'REDIS_PASSWORD',
      'REDIS_PASSWORD_FILE',
      'REDIS_REQUIRED',
    ],
    when: isEmbedded,
    why: 'neither REDIS_URL nor REDIS_HOST is set, so the embedded store is used',
  },
  {
    names: ['BREAKER_SHARED'],
    when: isEmbedded,
    why: 'gateways tell each other of breakers by way of Redis, and none is set',
  },
  {
    names: ['CACHE_STALE_IF_ERROR', 'CACHE_MAX_ENTRY_BYTES', 'CACHE_MAX_BYTES'],
    when: (settings) => withRoutes(settings).every(({ cacheTtlMs }) => cacheTtlMs === 'off'),
    why: 'the cache is off for every service (GET_CACHE_TTL)',
  },
  {
    names: [
      'CIRCUIT_BREAKER_THRESHOLD',
      'CIRCUIT_BREAKER_RATIO',
      'CIRCUIT_BREAKER_WINDOW',
      'CIRCUIT_BREAKER_COOLDOWN',
      'BREAKER_SHARED',
    ],
    when: ({ services }) => services.every(({ breaker }) => breaker === undefined),
    why: 'no service has breakers',
  },
  {
    names: ['SERVICE_REFRESH_INTERVAL', 'SERVICE_DISCOVERY_TOKEN', 'SERVICE_DISCOVERY_TOKEN_FILE'],
    when: ({ serviceDiscovery }) => serviceDiscovery === undefined,
    why: 'SERVICE_DISCOVERY_URL is not set',
  },
  {
    names: ['SERVICE_DISCOVERY_STACK'],
    when: ({ serviceDiscovery }) => serviceDiscovery === undefined || serviceDiscovery.kind === 'dns',
    why: 'only names that a registry lists can have the prefix of a stack',
  },
  {
    names: ['SERVICE_DISCOVERY_TOKEN', 'SERVICE_DISCOVERY_TOKEN_FILE'],
    when: ({ serviceDiscovery }) => serviceDiscovery !== undefined && serviceDiscovery.kind !== 'consul',
    why: 'only Consul is asked with it',
  },
  {
    names: ['SERVICE_DISCOVERY_INCREMENT', 'SERVICE_DISCOVERY_DEREGISTER'],
    when: ({ serviceDiscovery }) => serviceDiscovery?.kind !== 'http',
    why: 'only an HTTP registry is called back',
  },
  {
    names: ['JWT_SECRET', 'JWT_SECRET_FILE'],
    when: ({ jwtAlgorithms }) => !jwtAlgorithms.some(isHmac),
    why: 'JWT_ALGORITHMS holds no HS algorithm',
  },
  {
    names: ['JWKS_URL', 'JWT_PUBLIC_KEY', 'JWT_PUBLIC_KEY_FILE'],
    when: ({ jwtAlgorithms }) => jwtAlgorithms.every(isHmac),
    why: 'JWT_ALGORITHMS holds HS algorithms only',
  },
];

/**
 * Warnings about settings that have no effect or contradict each other, although the gateway can start with them: one sentence
 * each, naming the setting. No secret is ever shown.
 */
export function settingsWarnings({ env, dotenv, settings }: WarningSources): string[] {
  const merged = { ...dotenv, ...env };
  const isSet = (name: string) => Boolean(merged[name]?.trim());
  const question = { settings, isSet };
  return [
    ...strangersIn({ env, dotenv }),
    ...authWarnings(
      settings,
      settings,
      merged,
      withRoutes(settings).map(({ token }) => token),
    ),
    ...idle(question),
    ...overridden(question),
    ...contradictions(question),
    ...policyWarnings(settings),
  ];
}

/** What holds for the requests of each service and of each route. */
function withRoutes({ services, routes }: Settings): PolicySettings[] {
  const forwarding = [...services.flatMap((service) => service.routes), ...routes].filter(
    ({ action }) => action.kind === 'forward',
  );
  return [
    ...services,
    ...forwarding.flatMap(({ settings, sides = [] }) => [settings, ...sides.map((side) => side.settings)]),
  ];
}

function isEmbedded({ redisUrl, redisNodes }: Settings): boolean {
  return redisUrl === undefined && redisNodes.length === 0;
}

function idle({ settings, isSet }: Question): string[] {
  return IDLE.filter(({ when }) => when(settings)).flatMap(({ names, why }) =>
    names.filter(isSet).map((name) => `${name} is set and does nothing: ${why}`),
  );
}

function overridden({ settings: { gatewayFile, overriddenByFile }, isSet }: Question): string[] {
  return overriddenByFile
    .filter(isSet)
    .map((name) => `${name} is set and does nothing: the defaults of ${gatewayFile} take its place`);
}

function contradictions({ settings, isSet }: Question): string[] {
  const { drainTimeoutMs, drainGraceMs } = settings;
  const longestMs = Math.max(...withRoutes(settings).map(({ requestTimeoutMs }) => requestTimeoutMs));
  const warnings: string[] = [...fewNodes(settings)];
  // 0 states explicitly that the gateway waits for nobody.
  if (drainTimeoutMs > 0 && drainTimeoutMs < longestMs) {
    warnings.push(
      `DRAIN_TIMEOUT is ${formatDuration(drainTimeoutMs)} and a request may take ${formatDuration(longestMs)}: a gateway ` +
        'that is stopped cuts requests that would have been served',
    );
  }
  if (isSet('DRAIN_GRACE') && drainGraceMs > drainTimeoutMs) {
    warnings.push(
      `DRAIN_GRACE is ${formatDuration(drainGraceMs)}, longer than DRAIN_TIMEOUT, ${formatDuration(drainTimeoutMs)}, which ends it`,
    );
  }
  const tooMuch = memoryWarning(settings);
  if (tooMuch) warnings.push(tooMuch);
  return warnings;
}

/**
 * A warning when everything that may be full at the same time exceeds the memory limit. Uncollected garbage comes on
 * top.
 */
function memoryWarning(settings: Settings): string | undefined {
  const { memory, cacheMaxBytes, maxConnections, workers } = settings;
  const { limitBytes, ownBytes } = memory;
  if (limitBytes === undefined) return undefined;
  const cacheBytes = isEmbedded(settings) ? cacheMaxBytes : 0;
  const connectionsBytes = maxConnections * memory.connectionBytes;
  const restBytes = workers * (memory.rememberedBytes + memory.gatheringBytes);
  const sumBytes = ownBytes + cacheBytes + connectionsBytes + restBytes;
  if (sumBytes <= limitBytes) return undefined;
  return [
    `The memory limit is ${inMib(limitBytes)}, and the gateway may take ${inMib(sumBytes)}: ${inMib(ownBytes)} itself`,
    workers > 1 ? ` with ${workers} workers` : '',
    cacheBytes > 0 ? `, ${inMib(cacheBytes)} for CACHE_MAX_BYTES` : '',
    `, ${inMib(connectionsBytes)} for ${maxConnections} connections (MAX_CONNECTIONS)`,
    `, ${inMib(restBytes)} for what it remembers`,
  ].join('');
}

function fewNodes({ redisNodes }: Settings): string[] {
  if (redisNodes.length === 1) return ['REDIS_NODES names one node: there is nothing to spread keys over'];
  if (redisNodes.length !== 2) return [];
  return [
    'REDIS_NODES names two nodes: while one of them is away logouts get 503, because they would be on one node only; ' +
      'of three or more, one may be away',
  ];
}
