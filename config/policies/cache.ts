import { z } from 'zod';
import { durationOrZero } from '../kinds/kinds.ts';
import { FLAG, offOr, policy, textOrNumber } from './policy.ts';

export interface CacheSettings {
  /** How long responses are stored that do not say so themselves, in milliseconds; `off`: none is stored. */
  readonly cacheTtlMs: number | 'off';
  /** Whether responses with `public` or `s-maxage` are shared among users. */
  readonly cacheShared: boolean;
}

export const cache = policy({
  schema: offOr({
    ttl: textOrNumber(durationOrZero)
      .optional()
      .describe(
        "How long a response is kept that does not say so itself: 30s. '0': only one that says so is.",
      ),
    shared: z
      .boolean(FLAG)
      .optional()
      .describe('Whether users share responses that say public or s-maxage. Default: true.'),
  }).describe('Responses to GET that are kept.'),
  settings: (said, environment): CacheSettings => {
    if (said === 'off' || said === false) return { cacheTtlMs: 'off', cacheShared: true };
    return { cacheTtlMs: said?.ttl ?? environment.cacheTtlMs, cacheShared: said?.shared ?? true };
  },
  tightens: (own, outer) =>
    (own.cacheTtlMs === 'off' && outer.cacheTtlMs !== 'off') || (!own.cacheShared && outer.cacheShared),
});
