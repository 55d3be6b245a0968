import type { Field } from '../../config/variables.ts';
import type { Port } from '../port.ts';

/** What people are told of a stage. */
export interface StageFacts {
  /** Policies whose values it goes by: `cache` is all of that policy, `limits.body` one value, `limits.rate.address` a part of one. */
  readonly policies?: readonly string[];
  /** The same, for policies that hold for requests of users alone. */
  readonly external?: readonly string[];
  /** Settings of the whole gateway that it goes by. */
  readonly variables?: readonly Field[];
  /** Why it is not in a chain that has none. */
  readonly absence?: string;
}

/** By the stage's name. */
export const STAGE_FACTS: Readonly<Record<string, StageFacts>> = {
  headers: {
    policies: ['headers.response', 'security'],
    absence: 'neither headers.response nor security is set',
  },
  stickyCookie: { policies: ['balance'], absence: 'no cookie keeps clients at their replicas' },
  compression: {
    policies: ['compress'],
    variables: ['compressionCoders'],
    absence: 'compress is off',
  },
  cors: { policies: ['cors'], absence: 'no cors is set' },
  addresses: { policies: ['allow', 'deny'], absence: 'neither allow nor deny is set' },
  queryToken: {
    variables: ['authQueryTokenPaths'],
    absence: 'no path of AUTH_QUERY_TOKEN_PATHS leads to this service, and no source of auth is the query',
  },
  cookieToken: { absence: 'no source of auth is a cookie' },
  apiKey: { absence: 'no source of auth is an API key' },
  loginContent: {
    variables: ['authIssuePaths'],
    absence: 'no path of AUTH_ISSUE_PATHS leads to this service',
  },
  timeout: { policies: ['timeouts.request'], variables: ['bodyTimeoutMs', 'minUploadRate'] },
  addressRateLimit: {
    policies: ['limits.rate.address'],
    variables: ['rateLimitPerAddress'],
    absence: 'neither RATE_LIMIT_PER_ADDRESS nor a limits.rate per address is set',
  },
  concurrency: {
    policies: ['limits.concurrency', 'limits.streams'],
    variables: ['globalConcurrency', 'maxStreams', 'streamAfterMs', 'concurrencyQueue', 'fairShare'],
  },
  auth: { policies: ['auth', 'token'], variables: ['authIssuePaths', 'authRevokePaths'] },
  identityConcurrency: { variables: ['fairShare'] },
  logoutConcurrency: { variables: ['logoutConcurrency'] },
  rateLimit: {
    policies: ['limits.rate.others'],
    variables: ['rateLimitPerIdentity'],
    absence: 'neither RATE_LIMIT_PER_IDENTITY nor a limits.rate per identity, service or route is set',
  },
  cache: {
    policies: ['cache'],
    variables: ['cacheMaxEntryBytes', 'cacheStaleIfErrorMs'],
    absence: 'the cache is off',
  },
  mirror: { policies: ['mirror'], absence: 'no mirror is set, or it is this service' },
  failover: { policies: ['retry'] },
  loadBalancer: { policies: ['balance', 'health'], variables: ['slowStartMs'] },
  circuitBreaker: { policies: ['breaker'], absence: 'breaker is off' },
  proxy: {
    policies: ['timeouts.idle', 'limits.body', 'host', 'publicPaths', 'tls'],
    external: ['headers.request', 'passAuthorization'],
    variables: ['sendTimeoutMs'],
  },
};

/** Whether the stage goes by the value there, which the facts name by itself or with all of its policy. */
export function concerns({ policies = [], external = [] }: StageFacts, path: string, port: Port): boolean {
  const named = port === 'external' ? [...policies, ...external] : policies;
  return named.some((policy) => path === policy || path.startsWith(`${policy}.`));
}
