import { CODINGS } from '../../lib/compression/codings.ts';
import { formatBytes } from '../kinds/bytes.ts';
import { formatDuration } from '../kinds/durations.ts';
import { authText } from '../policies/auth/auth.ts';
import { ratesText } from '../policies/limits/rates.ts';
import type { PolicySettings } from '../policies/policies.ts';
import { balanceText } from '../policies/upstream/balance.ts';
import { statusText } from '../policies/upstream/health.ts';
import type { Field } from '../variables.ts';

/** One value of a policy, as people read it. */
export interface PolicyValue {
  /** As in a file: `timeouts.request`. */
  readonly path: string;
  readonly value: string;
  /** The variable that says it where no file does. */
  readonly variable?: Field;
}

/** Everything that holds for a service or route. */
export function policyValues(settings: PolicySettings): PolicyValue[] {
  return [
    { path: 'auth', value: authText(settings.auth) },
    {
      path: 'timeouts.request',
      value: formatDuration(settings.requestTimeoutMs),
      variable: 'requestTimeoutMs',
    },
    { path: 'timeouts.idle', value: formatDuration(settings.idleTimeoutMs), variable: 'upstreamTimeoutMs' },
    { path: 'limits.concurrency', value: String(settings.concurrency), variable: 'perServiceLimit' },
    { path: 'limits.streams', value: String(settings.streams), variable: 'serviceStreams' },
    { path: 'limits.body', value: bytesText(settings.maxBodyBytes), variable: 'maxBodyBytes' },
    ...(ratesText(settings.rates) === '' ? [] : [{ path: 'limits.rate', value: ratesText(settings.rates) }]),
    ...cacheValues(settings),
    ...compressValues(settings),
    { path: 'retry', value: retryText(settings) },
    ...breakerValues(settings),
    ...healthValues(settings),
    { path: 'balance', value: balanceText(settings.balance) },
    ...tlsValues(settings),
  ];
}

export function ttlText(ttlMs: number | 'off'): string {
  return ttlMs === 'off' ? 'off' : formatDuration(ttlMs);
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
