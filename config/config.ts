import type { Algorithm } from '../lib/auth/tokens/algorithms.ts';
import { type EvaluateModule, evaluateModule } from './file/evaluate.ts';
import { readGatewayFile } from './file/gatewayFile.ts';
import { deepFreeze } from './freeze.ts';
import { misspeltNames } from './kinds/names.ts';
import { type PolicySettings, settingsOf } from './policies/policies.ts';
import { SettingsError } from './report/problems.ts';
import { breakerWindowMs, completeRouting, environmentOf } from './routes/complete.ts';
import { serviceVariables } from './routes/serviceVariables.ts';
import { brokenRules } from './rules.ts';
import { type Machine, memoryLimitOf, thisMachine } from './sections/memoryLimit.ts';
import { type MemoryPlan, planMemory } from './sections/memoryPlan.ts';
import { type RedisNode, redisNodesOf, redisUrlOf } from './sections/redis.ts';
import { serviceProblems } from './sections/serviceRules.ts';
import type { Route, Service } from './sections/services.ts';
import { tlsProblems } from './sections/tls.ts';
import { type ReadFile, readTextFile, readValues } from './values.ts';
import type { Values } from './variables.ts';

export { SettingsError } from './report/problems.ts';

/** Within this time busy clients send another request, whose response tells them to close. */
const SHARED_PORT_GRACE_MS = 6_000;

/** Variables that are only used to compute other fields. */
type Ingredient =
  | 'jwtSecretFile'
  | 'jwtPublicKeyFile'
  | 'adminTokenFile'
  | 'stickySecretFile'
  | 'memoryLimitBytes'
  | 'useRedisSharding'
  | 'redisNodes'
  | 'redisHost'
  | 'redisPort'
  | 'redisDb'
  | 'redisUsername'
  | 'redisPassword'
  | 'redisPasswordFile'
  | 'serviceDiscoveryTokenFile'
  | 'gatewayFile';

/**
 * All settings of the gateway, frozen. Each field is described, with its default, in the row of `variables/` with the same
 * name, and in docs/settings.md. The fields below are computed from several variables.
 */
export interface Settings extends Omit<Values, Ingredient> {
  /** How the available memory is divided. */
  readonly memory: MemoryPlan;
  /** 1 or more. Default: by `memory`. */
  readonly cacheMaxBytes: number;
  /** 0: no limit. Default: by `memory`. */
  readonly maxConnections: number;
  /** At least one. For each there is a secret or there are public keys. */
  readonly jwtAlgorithms: readonly Algorithm[];
  /** `redis://user:password@host:6379/0`; undefined: several nodes, or the embedded store. */
  readonly redisUrl: string | undefined;
  /** The nodes that keys are spread over; empty: `redisUrl`, or the embedded store. */
  readonly redisNodes: readonly RedisNode[];
  /** 1 or more. Default: 3.5 times `requestTimeoutMs`. */
  readonly circuitBreakerWindowMs: number;
  /** 0 or more. Default: 6,000 with `reusePort`, else 0. */
  readonly drainGraceMs: number;
  /** At least one; paths, names and aliases are unique. */
  readonly services: readonly Service[];
  /** Routes for users that belong to no service: of any host and depth. */
  readonly routes: readonly Route[];
  /** What holds where no service and no route is found. */
  readonly defaults: PolicySettings;
  /** The file that says so; undefined: there is none, and they are the built-in ones. */
  readonly gatewayFile: string | undefined;
  /** Variables in whose place that file has a value for every service. */
  readonly overriddenByFile: readonly string[];
}

/**
 * Reads the settings from environment variables and the files they name.
 *
 * @param machine the available memory
 * @param evaluate gives what a GATEWAY_FILE in TypeScript exports
 * @throws {SettingsError} listing everything that is wrong
 */
export function loadSettings(
  env: NodeJS.ProcessEnv,
  readFile: ReadFile = readTextFile,
  machine: Machine = thisMachine(),
  evaluate: EvaluateModule = evaluateModule,
): Settings {
  const { values, problems: wrong } = readValues(env, readFile);
  const file = readGatewayFile({ path: values.gatewayFile, env, readFile, evaluate });
  const { definitions, problems: wrongServices } = file;
  const problems = [
    ...wrong.values(),
    ...movedSettings(env),
    ...brokenRules(values, new Set(wrong.keys())),
    ...tlsProblems(values, readFile),
    ...wrongServices,
    // Services that are missing because they are wrong cannot be checked further.
    ...(wrongServices.length === 0 && wrong.size === 0 ? serviceProblems(definitions, values, env) : []),
  ];
  // Misspelt names alone are no problem, since other programs may read them. Beside a problem they may be its cause.
  if (problems.length > 0) throw new SettingsError([...misspeltNames(env), ...problems]);

  const variables = serviceVariables(values);
  return deepFreeze({
    ...assemble(values, machine),
    ...completeRouting(definitions.services, definitions.routes, variables),
    defaults: settingsOf(definitions.defaults, environmentOf(definitions.defaults, variables)),
    gatewayFile: file.path,
    overriddenByFile: file.overridden,
  });
}

/** Settings that there were, with the line that takes their place. */
function movedSettings(env: NodeJS.ProcessEnv): string[] {
  const moved = [
    ['SERVICES_FILE', 'GATEWAY_FILE', ' (docs/routes.md says what it holds)'],
    ['VIA_ON_ANSWERS', 'VIA_ON_RESPONSES', ''],
  ] as const;
  return moved.flatMap(([before, now, hint]) => {
    const value = env[before]?.trim();
    return value ? [`${before} is no setting any more: write ${now}=${value}${hint}`] : [];
  });
}

function assemble(
  values: Values,
  machine: Machine,
): Omit<Settings, 'services' | 'routes' | 'defaults' | 'gatewayFile' | 'overriddenByFile'> {
  const {
    memoryLimitBytes,
    jwtSecretFile,
    jwtPublicKeyFile,
    adminTokenFile,
    stickySecretFile,
    useRedisSharding,
    redisNodes,
    redisHost,
    redisPort,
    redisDb,
    redisUsername,
    redisPassword,
    redisPasswordFile,
    serviceDiscoveryTokenFile,
    gatewayFile,
    ...direct
  } = values;
  const redisUrl = redisUrlOf(values);
  const nodes = redisNodesOf(values);
  const memory = planMemory({
    limitBytes: memoryLimitBytes ?? memoryLimitOf(machine),
    workers: direct.workers,
    hasRedis: redisUrl !== undefined || nodes.length > 0,
    hasTls: direct.tlsCertFile !== undefined,
    cacheMaxEntryBytes: direct.cacheMaxEntryBytes,
  });
  return {
    ...direct,
    memory,
    cacheMaxBytes: direct.cacheMaxBytes ?? memory.cacheBytes,
    maxConnections: direct.maxConnections ?? memory.connections,
    jwtAlgorithms: values.jwtAlgorithms ?? defaultAlgorithms(values),
    redisUrl,
    redisNodes: nodes,
    circuitBreakerWindowMs: direct.circuitBreakerWindowMs ?? breakerWindowMs(direct.requestTimeoutMs),
    drainGraceMs: direct.drainGraceMs ?? (direct.reusePort ? SHARED_PORT_GRACE_MS : 0),
  };
}

function defaultAlgorithms({ jwtSecret, jwksUrl, jwtPublicKey }: Values): Algorithm[] {
  const publicKeys = jwksUrl !== undefined || jwtPublicKey !== undefined;
  return [
    ...(jwtSecret === undefined ? [] : (['HS256'] as const)),
    ...(publicKeys ? (['RS256', 'ES256', 'EdDSA'] as const) : []),
  ];
}
