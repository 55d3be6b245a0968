import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { listVariables } from '../../config/variables.ts';
import { LOOPBACK } from '../ports.ts';

const POLL_EVERY_MS = 100;
const POLL_TIMEOUT_MS = 1000;
/** After this long without readiness, people are told what the gateway waits for. */
const REPORT_AFTER_MS = 5000;

export const GATEWAY_MODULE = new URL('../../gateway/main.ts', import.meta.url);
/** The gateway knows nothing of the playground: what ties it to its parent is loaded beside it. */
export const LIFELINE_ARGV = ['--import', new URL('../lifeline.ts', import.meta.url).href];
/** As in production: no signal opens the inspector, not even before the gateway's first line has run. */
export const GATEWAY_EXEC_ARGV = ['--disable-sigusr1', ...LIFELINE_ARGV];

export interface GatewaySettings {
  readonly externalPort: number;
  readonly internalPort: number;
  /** Where the page is that its file lets in. */
  readonly pagePort: number;
  readonly registryUrl: string;
  readonly gatewayFile: string;
  readonly dataDir: string;
  readonly jwtSecret: string;
  readonly redisUrl?: string | undefined;
}

/** Which Redis, if any: the flag alone decides. What goes with it may come from the environment. */
const CHOICE_OF_REDIS = [
  'REDIS_URL',
  'REDIS_HOST',
  'REDIS_PORT',
  'USE_REDIS_SHARDING',
  'REDIS_NODES',
] as const;
const REDIS = /^(USE_)?REDIS_/;
/** How another registry than the playground's is asked and told. */
const REGISTRY = /^SERVICE_DISCOVERY_/;

/**
 * The gateway's environment: what the playground settles, on top of `env`. It runs in a directory of its own, so paths
 * in `env` are made absolute.
 */
export function gatewayEnvironment(settings: GatewaySettings, env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const { redisUrl } = settings;
  const leftOut = Object.keys(env).filter(
    (name) => REGISTRY.test(name) || (redisUrl ? isChoiceOfRedis(name) : REDIS.test(name)),
  );
  return {
    DATA_DIR: settings.dataDir,
    // Its output is a pipe here, which it would take for a machine.
    LOG_FORMAT: 'pretty',
    // On loopback there is nobody to keep them from, and the walk-through looks at them there.
    EXTERNAL_METRICS: 'true',
    ...env,
    ...absolutePaths(env),
    ...Object.fromEntries(leftOut.map((name) => [name, undefined])),
    EXTERNAL_HOST: LOOPBACK,
    EXTERNAL_PORT: String(settings.externalPort),
    INTERNAL_HOST: LOOPBACK,
    INTERNAL_PORT: String(settings.internalPort),
    SERVICE_DISCOVERY_URL: settings.registryUrl,
    GATEWAY_FILE: settings.gatewayFile,
    PLAYGROUND_PAGE_PORT: String(settings.pagePort),
    JWT_SECRET: settings.jwtSecret,
    JWT_SECRET_FILE: undefined,
    ...(redisUrl && { REDIS_URL: redisUrl }),
  };
}

/** A line for each choice that somebody made elsewhere and that the gateway of a playground does not follow. */
export function notPassedOn(
  { redisUrl }: Pick<GatewaySettings, 'redisUrl'>,
  env: NodeJS.ProcessEnv,
): string[] {
  const lines: string[] = [];
  if (existsSync('.env'))
    lines.push('The file .env is not read: the settings of a playground come from the environment.');
  const registry = Object.keys(env).filter((name) => REGISTRY.test(name) && env[name]);
  if (registry.length > 0)
    lines.push(`${registry.join(' and ')} of the environment: not used; the playground has a registry.`);
  const chosen = CHOICE_OF_REDIS.filter((name) => env[name]);
  if (redisUrl === undefined && chosen.length > 0) {
    lines.push(
      `${chosen.join(' and ')} of the environment: not used; --redis=redis://host:port chooses a Redis.`,
    );
  }
  return lines;
}

function isChoiceOfRedis(name: string): boolean {
  return CHOICE_OF_REDIS.some((choice) => choice === name);
}

function absolutePaths(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const paths = Object.entries(env).filter(
    ([name, value]) => value && (name === 'DATA_DIR' || name.endsWith('_FILE')),
  );
  const ours = new Set(listVariables().map(([, { name }]) => name));
  return Object.fromEntries(
    paths.filter(([name]) => ours.has(name)).map(([name, value]) => [name, resolve(value as string)]),
  );
}

/** Resolves when `/readyz` answers 200. `stop` ends the wait when there is no more to wait for. */
export async function gatewayReady(
  url: string,
  print: (line: string) => void,
  stop: AbortSignal,
): Promise<void> {
  const reportAt = performance.now() + REPORT_AFTER_MS;
  let reported = false;
  for (;;) {
    const state = await readiness(url);
    if (state === 'ready') return;
    if (!reported && performance.now() > reportAt) {
      print(`still waiting for the gateway: ${state}`);
      reported = true;
    }
    await sleep(POLL_EVERY_MS, undefined, { signal: stop });
  }
}

async function readiness(url: string): Promise<string> {
  try {
    const answer = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(POLL_TIMEOUT_MS) });
    const body = await answer.text();
    return answer.ok ? 'ready' : `/readyz answers ${answer.status} ${body}`;
  } catch {
    return '/readyz does not answer';
  }
}
