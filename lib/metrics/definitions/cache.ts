import { counter, type GaugeDefinition } from '../series/definition.ts';
import type { Reading } from '../series/gauge.ts';

/** What one place holds of stored responses. */
export interface CacheReading {
  readonly tier: string;
  readonly entries: number;
  readonly bytes: number;
}

export interface CacheReadings {
  /** Rejects while nobody can tell. Undefined: other threads tell, and there is no such gauge. */
  readonly cache: (() => Promise<Iterable<CacheReading>>) | undefined;
}

/** What the cache could do for requests. */
export const CACHE_COUNTERS = {
  cacheHits: counter('gateway_cache_hits_total', ['service'], 'GETs served from the cache.'),
  cacheMisses: counter('gateway_cache_misses_total', ['service'], 'GETs that the cache could not serve.'),
  cacheErrors: counter('gateway_cache_errors_total', ['service'], 'Failures of the store behind the cache.'),
  cacheDeclined: counter(
    'gateway_cache_declined_total',
    ['service'],
    'Responses that a full cache did not take in, because nobody had asked for them before.',
  ),
};

const CACHE_GAUGES = [
  {
    name: 'gateway_cache_entries',
    help: 'Keys the cache holds.',
    value: ({ entries }: CacheReading) => entries,
  },
  { name: 'gateway_cache_bytes', help: 'What they take up.', value: ({ bytes }: CacheReading) => bytes },
];

/** How full the cache is; no gauges where other threads tell. */
export function cacheGauges({ cache: usage }: CacheReadings): GaugeDefinition[] {
  if (!usage) return [];
  return CACHE_GAUGES.map(({ value, ...rest }) => ({
    ...rest,
    labels: ['tier'],
    read: async () => {
      // A store that is away shows in gateway_cache_errors_total; a scrape must not fail for it.
      const places = await usage().catch(() => []);
      return Array.from(places, (place): Reading => [value(place), place.tier]);
    },
  }));
}
