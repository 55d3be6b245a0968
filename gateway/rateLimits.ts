import type { Settings } from '../config/config.ts';
import type { Metrics } from '../lib/metrics/metrics.ts';
import { type Rate, RateLimit } from '../lib/ratelimit/rateLimit.ts';
import type { Stores } from '../lib/store/store.ts';

/** The rate limits of users' requests, for all services together; undefined where the settings set none. */
export interface RateLimits {
  readonly address: RateLimit | undefined;
  readonly identity: RateLimit | undefined;
}

export interface RateLimitsOptions {
  readonly settings: Settings;
  readonly stores: Stores;
  readonly metrics: Metrics;
  readonly logStoreError: (error: Error) => void;
}

export function createRateLimits(options: Readonly<RateLimitsOptions>): RateLimits {
  const { settings, stores, metrics, logStoreError } = options;
  const limit = (policy: string, rate: Rate | undefined) =>
    rate &&
    new RateLimit({
      policy,
      rate,
      evaluate: stores.evaluate,
      onStoreError: (error) => {
        metrics.rateLimitErrors.count(policy);
        logStoreError(error);
      },
    });
  return {
    address: limit('address', settings.rateLimitPerAddress),
    identity: limit('identity', settings.rateLimitPerIdentity),
  };
}
