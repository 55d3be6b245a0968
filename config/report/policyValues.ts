import { CODINGS } from '../../lib/compression/codings.ts';
import { formatBytes } from '../kinds/bytes.ts';
import { formatDuration } from '../kinds/durations.ts';
import { authText } from '../policies/auth/auth.ts';
import { ratesText } from '../policies/limits/rates.ts';
import type { PolicyName, PolicySettings } from '../policies/policies.ts';
import { balanceText } from '../policies/upstream/balance.ts';
import { statusText } from '../policies/upstream/health.ts';
import type { LevelName } from '../routes/levels.ts';
import type { Field } from '../variables.ts';

/** One value of a policy, as people read it. */
export interface PolicyValue {
  /** As in a file: `timeouts.request`. */
  readonly path: string;
  readonly value: string;
  /** Which part of what stands there it is, where several stages go by one part each. */
  readonly part?: string;
  /** The levels of the file that say it, where what stands at the path does not tell. */
  readonly levels?: readonly LevelName[];
  /** The variable that says it where no file does. */
  readonly variable?: Field;
}

type ValuesOf = (settings: PolicySettings) => readonly PolicyValue[];

/** The values of each policy in words of its own. */
const VALUES: Readonly<Record<PolicyName, ValuesOf | 'as it is written'>> = {
  auth: ({ auth }) => [{ path: 'auth', value: authText(auth) }],
  timeouts: timeoutValues,
  limits: limitValues,
  cache: cacheValues,
  compress: compressValues,
  retry: (settings) => [{ path: 'retry', value: retryText(settings) }],
  breaker: breakerValues,
  health: healthValues,
  balance: ({ balance }) => [{ path: 'balance', value: balanceText(balance) }],
  tls: tlsValues,
  passAuthorization: 'as it is written',
  token: 'as it is written',
  cors: 'as it is written',
  security: 'as it is written',
  headers: 'as it is written',
  host: 'as it is written',
  mirror: 'as it is written',
  publicPaths: 'as it is written',
  allow: 'as it is written',
  deny: 'as it is written',
};

/** Everything that holds for a service or route, but for policies that are best shown as they are written. */
export function policyValues(settings: PolicySettings): PolicyValue[] {
  return Object.values(VALUES).flatMap((values) => (typeof values === 'function' ? values(settings) : []));
}

function timeoutValues({ requestTimeoutMs, idleTimeoutMs }: PolicySettings): PolicyValue[] {
  return [
    { path: 'timeouts.request', value: formatDuration(requestTimeoutMs), variable: 'requestTimeoutMs' },
    { path: 'timeouts.idle', value: formatDuration(idleTimeoutMs), variable: 'upstreamTimeoutMs' },
  ];
}

function limitValues({ concurrency, streams, maxBodyBytes, rates }: PolicySettings): PolicyValue[] {
  return [
    { path: 'limits.concurrency', value: String(concurrency), variable: 'perServiceLimit' },
    { path: 'limits.streams', value: String(streams), variable: 'serviceStreams' },
    { path: 'limits.body', value: bytesText(maxBodyBytes), variable: 'maxBodyBytes' },
    ...rateValues(rates),
  ];
}

export function ttlText(ttlMs: number | 'off'): string {
  return ttlMs === 'off' ? 'off' : formatDuration(ttlMs);
}

/** Those per address, and all others: each of the two has a stage of its own. */
function rateValues(rates: PolicySettings['rates']): PolicyValue[] {
  const parts = [
    { part: 'address', rules: rates.filter(({ per }) => per === 'address') },
    { part: 'others', rules: rates.filter(({ per }) => per !== 'address') },
  ];
  return parts.flatMap(({ part, rules }) => {
    const value = ratesText(rules);
    if (value === '') return [];
    const levels = rules.flatMap(({ at: { level } }) => (level === 'environment' ? [] : [level]));
    return [{ path: 'limits.rate', part, value, levels }];
  });
}

function cacheValues({ cacheTtlMs, cacheShared }: PolicySettings): PolicyValue[] {
  if (cacheTtlMs === 'off') return [{ path: 'cache', value: 'off', variable: 'getCacheTtlMs' }];
  return [
    { path: 'cache.ttl', value: formatDuration(cacheTtlMs), variable: 'getCacheTtlMs' },
    { path: 'cache.shared', value: String(cacheShared) },
  ];
}

function compressValues({ compress: rules }: PolicySettings): PolicyValue[] {
  if (rules === undefined) return [{ path: 'compress', value: 'off' }];
  const { codings, levels, floorBytes, types } = rules;
  return [
    { path: 'compress.codings', value: codings.join(', ') },
    ...CODINGS.filter((coding) => codings.includes(coding)).map((coding) => ({
      path: `compress.level.${coding}`,
      value: String(levels[coding]),
    })),
    { path: 'compress.floor', value: formatBytes(floorBytes) },
    { path: 'compress.types', value: types?.join(', ') ?? 'all that get shorter' },
  ];
}

export function retryText({ retries, hedges }: PolicySettings): string {
  if (!retries) return 'off';
  return hedges ? 'on' : 'on, hedge off';
}

function breakerValues({ breaker }: PolicySettings): PolicyValue[] {
  if (breaker === undefined) return [{ path: 'breaker', value: 'off' }];
  const { threshold, ratio, windowMs, cooldownMs } = breaker;
  return [
    { path: 'breaker.threshold', value: String(threshold), variable: 'circuitBreakerThreshold' },
    { path: 'breaker.ratio', value: String(ratio), variable: 'circuitBreakerRatio' },
    { path: 'breaker.window', value: formatDuration(windowMs), variable: 'circuitBreakerWindowMs' },
    { path: 'breaker.cooldown', value: formatDuration(cooldownMs), variable: 'circuitBreakerCooldownMs' },
  ];
}

function healthValues({ health }: PolicySettings): PolicyValue[] {
  if (health === undefined) return [{ path: 'health', value: 'off' }];
  return [
    { path: 'health.path', value: health.path },
    { path: 'health.interval', value: formatDuration(health.intervalMs) },
    { path: 'health.timeout', value: formatDuration(health.timeoutMs) },
    { path: 'health.healthyAfter', value: String(health.healthyAfter) },
    { path: 'health.unhealthyAfter', value: String(health.unhealthyAfter) },
    { path: 'health.status', value: statusText(health.statuses) },
    ...(health.port === undefined ? [] : [{ path: 'health.port', value: String(health.port) }]),
  ];
}

/** The files that the connections to a service depend on: `ca cert key`. */
export function tlsText({ tls }: PolicySettings): string {
  return tls === undefined ? 'off' : Object.keys(tls.files).join(' ') || 'on';
}

function tlsValues({ tls }: PolicySettings): PolicyValue[] {
  if (tls === undefined) return [];
  const { files, serverName, minVersion } = tls;
  return [
    ...Object.entries(files).map(([part, path]) => ({ path: `tls.${part}`, value: path })),
    ...(serverName === undefined ? [] : [{ path: 'tls.serverName', value: serverName }]),
    { path: 'tls.minVersion', value: minVersion },
  ];
}

/** A number of bytes of which 0 is no limit. */
export function bytesText(bytes: number): string {
  return bytes === 0 ? 'any' : formatBytes(bytes);
}
