import type { Settings } from '../../config/config.ts';
import type { Metrics } from '../../lib/metrics/metrics.ts';
import type { Rate, RateCounter, Verdict } from '../../lib/ratelimit/rateLimit.ts';
import type { Stores } from '../../lib/store/store.ts';

/** The rate limits of users' requests, for all services together; undefined where the settings set none. */
export interface RateLimits {
  readonly address: RateCounter | undefined;
  readonly identity: RateCounter | undefined;
}

export type RatePolicy = keyof RateLimits;

/** Counts one request in the main thread, for all threads of the gateway. */
export type CountRate = (policy: RatePolicy, key: string) => Promise<Verdict>;

export interface RateLimitsOptions {
  readonly settings: Settings;
  readonly stores: Pick<Stores, 'evaluate'>;
  readonly metrics: Metrics;
  readonly logStoreError: (error: Error) => void;
  /** Used by a gateway of several threads with an embedded store. Default: this thread counts. */
  readonly countRate?: CountRate | undefined;
}

export async function createRateLimits(options: Readonly<RateLimitsOptions>): Promise<RateLimits> {
  const { settings, stores, metrics, logStoreError, countRate } = options;
  const limit = async (policy: RatePolicy, rate: Rate | undefined): Promise<RateCounter | undefined> => {
    if (!rate) return undefined;
    if (countRate && !stores.evaluate) return { policy, rate, take: (key) => countRate(policy, key) };
    const { RateLimit } = await import('../../lib/ratelimit/rateLimit.ts');
    return new RateLimit({
      policy,
      rate,
      evaluate: stores.evaluate,
      maxBytes: settings.memory.rememberedBytes,
      onStoreError: (error) => {
        metrics.rateLimitErrors.count(policy);
        logStoreError(error);
      },
    });
  };
  return {
    address: await limit('address', settings.rateLimitPerAddress),
    identity: await limit('identity', settings.rateLimitPerIdentity),
  };
}
