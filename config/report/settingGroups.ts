import { type Field, listVariables, type Variable } from '../variables.ts';

/** A heading of docs/settings.md. */
interface Heading {
  readonly title: string;
  /** The page, in docs/, that says more. */
  readonly page: string;
  /** The first setting below it. The group ends where the next one begins. */
  readonly first: Field;
}

/** In the order of `variables`, so that a new setting belongs to the group that it stands in. */
const HEADINGS: readonly Heading[] = [
  { title: 'Environment and ports', page: 'operations.md#deploy', first: 'environment' },
  { title: 'Workers and memory', page: 'workers.md', first: 'workers' },
  { title: 'TLS', page: 'tls.md', first: 'tlsCertFile' },
  { title: 'Proxies', page: 'loadbalancers.md#what-a-trusted-proxy-may-say', first: 'trustedProxies' },
  { title: 'Tokens', page: 'tokens.md', first: 'jwtSecret' },
  { title: 'Login, logout and revocation', page: 'tokens.md', first: 'authIssuePaths' },
  { title: 'Store', page: 'operations.md#scale', first: 'redisUrl' },
  { title: 'Limits', page: 'limits.md', first: 'globalConcurrency' },
  { title: 'Rate limits', page: 'limits.md#rates', first: 'rateLimitPerIdentity' },
  { title: 'Connections and sizes', page: 'limits.md', first: 'maxUpgrades' },
  { title: 'Timeouts', page: 'loadbalancers.md#what-clients-do-wrong', first: 'requestTimeoutMs' },
  { title: 'Shutdown', page: 'operations.md#upgrade', first: 'drainTimeoutMs' },
  { title: 'Cache', page: 'cache.md', first: 'getCacheTtlMs' },
  {
    title: 'Circuit breaker',
    page: 'resilience.md#the-breaker-of-a-replica',
    first: 'circuitBreakerThreshold',
  },
  { title: 'Load balancing and registry', page: 'resilience.md#who-is-asked', first: 'slowStartMs' },
  { title: 'Services', page: 'routes.md', first: 'gatewayFile' },
  { title: 'Logs', page: 'logs.md', first: 'logLevel' },
  { title: 'Metrics and diagnosis', page: 'monitoring.md', first: 'externalMetrics' },
  { title: 'Tracing', page: 'logs.md#traces', first: 'otlpEndpoint' },
];

/** Settings on one subject. */
export interface SettingGroup extends Heading {
  readonly settings: readonly [Field, Variable][];
}

/** All settings, by subject. */
export function groupSettings(): readonly SettingGroup[] {
  const all = listVariables();
  const starts = HEADINGS.map(({ first }) => all.findIndex(([field]) => field === first));
  return HEADINGS.map((heading, index) => ({
    ...heading,
    settings: all.slice(starts[index], starts[index + 1]),
  }));
}
