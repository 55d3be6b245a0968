import type { Settings } from '../config/config.ts';
import type { Metrics } from '../lib/metrics/metrics.ts';
import { type Rate, type RateCounter, RateLimit, type Verdict } from '../lib/ratelimit/rateLimit.ts';
import type { Stores } from '../lib/store/store.ts';

/** The rate limits of users' requests, for all services together; undefined where the settings set none. */
export interface RateLimits {
  readonly address: RateCounter | undefined;
  readonly identity: RateCounter | undefined;
}

export type RatePolicy = keyof RateLimits;

/** Counts one request where all threads of the gateway count. */
export type CountRate = (policy: RatePolicy, key: string) => Promise<Verdict>;

export interface RateLimitsOptions {
  readonly settings: Settings;
  readonly stores: Pick<Stores, 'evaluate'>;
  readonly metrics: Metrics;
  readonly logStoreError: (error: Error) => void;
  /** For a gateway of several threads with an embedded store. Default: this thread counts. */
  readonly countRate?: CountRate | undefined;
}

export function createRateLimits(options: Readonly<RateLimitsOptions>): RateLimits {
  const { settings, stores, metrics, logStoreError, countRate } = options;
  const limit = (policy: RatePolicy, rate: Rate | undefined): RateCounter | undefined => {
    if (!rate) return undefined;
    if (countRate && !stores.evaluate) return { policy, rate, take: (key) => countRate(policy, key) };
    return new RateLimit({
      policy,
      rate,
      evaluate: stores.evaluate,
      onStoreError: (error) => {
        metrics.rateLimitErrors.count(policy);
        logStoreError(error);
      },
    });
  };
  return {
    address: limit('address', settings.rateLimitPerAddress),
    identity: limit('identity', settings.rateLimitPerIdentity),
  };
}
