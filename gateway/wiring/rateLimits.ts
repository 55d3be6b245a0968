import type { Settings } from '../../config/config.ts';
import type { Clock } from '../../lib/clock/clock.ts';
import type { Metrics } from '../../lib/metrics/metrics.ts';
import { FallbackCounter } from '../../lib/ratelimit/fallbackCounter.ts';
import { LocalCounter } from '../../lib/ratelimit/localCounter.ts';
import type { Asked, RateCounter, Verdict } from '../../lib/ratelimit/rate.ts';
import { RedisCounter } from '../../lib/ratelimit/redisCounter.ts';
import { RefusingCounter } from '../../lib/ratelimit/refusals.ts';
import type { Stores } from '../../lib/store/store.ts';

/** What counts the requests of users, for all services and routes together: a flood of addresses drives out no identity. */
export interface RateLimits {
  readonly addresses: RateCounter;
  /** Identities, services and routes. */
  readonly others: RateCounter;
}

/** Counts one request in the main thread, for all threads of the gateway. */
export type CountRate = (counter: keyof RateLimits, asked: readonly Asked[]) => Promise<Verdict>;

export interface RateLimitsOptions {
  readonly settings: Pick<Settings, 'memory' | 'redisNodes'>;
  readonly stores: Pick<Stores, 'evaluate'>;
  readonly metrics: Metrics;
  readonly logStoreError: (error: Error) => void;
  /** Used by a gateway of several threads where no Redis counts. Default: this thread counts. */
  readonly countRate?: CountRate | undefined;
  readonly clock: Clock;
}

export function createRateLimits(options: Readonly<RateLimitsOptions>): RateLimits {
  return { addresses: counterFor('addresses', options), others: counterFor('others', options) };
}

function counterFor(counter: keyof RateLimits, options: RateLimitsOptions): RateCounter {
  const { settings, stores, metrics, logStoreError, countRate, clock } = options;
  const memory = { maxBytes: settings.memory.rememberedBytes / 2, clock };
  const own = countRate
    ? new RefusingCounter({ take: (asked) => countRate(counter, asked) }, memory)
    : new LocalCounter(memory);
  const { evaluate } = stores;
  if (!evaluate) return own;
  const shared = new RedisCounter({ evaluate, isSpread: settings.redisNodes.length > 0 });
  return new FallbackCounter({
    // Only what Redis refuses is remembered: what is refused here must not outlast its absence.
    counter: new RefusingCounter(shared, memory),
    fallback: own,
    onError: (error) => {
      metrics.rateLimitErrors.count();
      logStoreError(error);
    },
  });
}
