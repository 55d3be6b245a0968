import { rateOfVariable } from '../policies/limits/rates.ts';
import type { Said } from '../policies/policies.ts';
import { type Field, type Values, variables } from '../variables.ts';
import type { Variables } from './complete.ts';

/** What services are given where no file says it. Each variable that is read here is in `IN_FILES` as well. */
export function serviceVariables(values: Values): Variables {
  return {
    concurrency: values.perServiceLimit,
    streams: values.serviceStreams,
    requestTimeoutMs: values.requestTimeoutMs,
    cacheTtlMs: values.getCacheTtlMs,
    idleTimeoutMs: values.upstreamTimeoutMs,
    maxBodyBytes: values.maxBodyBytes,
    rates: [
      ...rateOfVariable('address', values.rateLimitPerAddress),
      ...rateOfVariable('identity', values.rateLimitPerIdentity),
    ],
    breaker: {
      threshold: values.circuitBreakerThreshold,
      ratio: values.circuitBreakerRatio,
      windowMs: values.circuitBreakerWindowMs,
      cooldownMs: values.circuitBreakerCooldownMs,
    },
  };
}

/** What a file says in place of each. */
const IN_FILES = {
  perServiceLimit: ({ limits }) => limits?.concurrency,
  serviceStreams: ({ limits }) => limits?.streams,
  requestTimeoutMs: ({ timeouts }) => timeouts?.request,
  getCacheTtlMs: ({ cache }) => (typeof cache === 'object' ? cache.ttl : cache),
  upstreamTimeoutMs: ({ timeouts }) => timeouts?.idle,
  maxBodyBytes: ({ limits }) => limits?.body,
  circuitBreakerThreshold: ({ breaker }) => termsIn(breaker).threshold,
  circuitBreakerRatio: ({ breaker }) => termsIn(breaker).ratio,
  circuitBreakerWindowMs: ({ breaker }) => termsIn(breaker).window,
  circuitBreakerCooldownMs: ({ breaker }) => termsIn(breaker).cooldown,
} as const satisfies { readonly [F in Field]?: (said: Said) => unknown };

type BreakerInFile = Extract<Said['breaker'], object>;

function termsIn(breaker: Said['breaker']): Partial<BreakerInFile> {
  return typeof breaker === 'object' ? breaker : {};
}

/** The names of the variables in whose place the file's `defaults` have a value. */
export function overriddenBy(defaults: Said): string[] {
  return Object.entries(IN_FILES)
    .filter(([, saidIn]) => saidIn(defaults) !== undefined)
    .map(([field]) => variables[field as keyof typeof IN_FILES].name);
}
