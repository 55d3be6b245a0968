import { z } from 'zod';
import { durationOrExplicit } from '../kinds/kinds.ts';
import { FLAG, policy, textOrNumber } from './policy.ts';

export interface CacheSettings {
  /** How long responses are stored that do not say so themselves, in milliseconds; `off`: none is stored. */
  readonly cacheTtlMs: number | 'off';
  /** Whether responses with `public` or `s-maxage` are shared among users. */
  readonly cacheShared: boolean;
}

export const cache = policy({
  schema: offOrExplicit({
    ttl: textOrNumber(durationOrExplicit)
      .optional()
      .describe(
        'How long a response is kept that does not say so itself: 30s. explicit: only one that says so is.',
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
  tightens: (own, outer) => keepsMs(own) < keepsMs(outer) || (!own.cacheShared && outer.cacheShared),
});

/** `explicit` alone is short for an object that says only that, so the rest is still inherited. */
function offOrExplicit<Shape extends z.ZodRawShape>(shape: Shape) {
  const explicit = z.literal('explicit').transform((): { ttl?: number; shared?: boolean } => ({ ttl: 0 }));
  return z.union([z.literal('off'), z.literal(false), explicit, z.strictObject(shape)], {
    error: 'off, explicit or an object',
  });
}

function keepsMs({ cacheTtlMs }: CacheSettings): number {
  return cacheTtlMs === 'off' ? -1 : cacheTtlMs;
}
