import { z } from 'zod';
import { duration, MAX_COUNT } from '../kinds/kinds.ts';
import { type BreakerTerms, policy } from './policy.ts';

export interface BreakerSettings {
  /** Of the replicas' breakers. Undefined: there are none or, for a route, its requests neither ask nor tell them. */
  readonly breaker: BreakerTerms | undefined;
}

const COUNT = { error: `a whole number from 1 to ${MAX_COUNT}` };
const SHARE = { error: 'a number from 0 to 1' };

export const breaker = policy({
  schema: z
    .union(
      [
        z.literal('off'),
        z.boolean(),
        z.strictObject({
          threshold: z
            .int(COUNT)
            .min(1, COUNT)
            .max(MAX_COUNT, COUNT)
            .optional()
            .describe('Failures of one replica within the window that open its breaker.'),
          ratio: z
            .number(SHARE)
            .min(0, SHARE)
            .max(1, SHARE)
            .optional()
            .describe('Part of its calls there that must have failed, too. 0: the number alone decides.'),
          window: duration.schema.optional().describe('How long a failure counts: 10s.'),
          cooldown: duration.schema
            .optional()
            .describe('How long an open breaker keeps requests away before it tries one: 30s.'),
        }),
      ],
      { error: 'off, true, false or an object' },
    )
    .describe('Whether replicas that fail are left alone for a while. Default: true.'),
  settings: (said, { breaker: terms }): BreakerSettings => {
    if (said === 'off' || said === false) return { breaker: undefined };
    if (said === undefined || said === true) return { breaker: terms };
    return {
      breaker: {
        threshold: said.threshold ?? terms.threshold,
        ratio: said.ratio ?? terms.ratio,
        windowMs: said.window ?? terms.windowMs,
        cooldownMs: said.cooldown ?? terms.cooldownMs,
      },
    };
  },
});

/** What a route may say of it. */
export const routeBreaker = z
  .union([z.literal('off'), z.literal(false)], {
    error: 'off: a replica has one breaker for all routes, so its service says the rest',
  })
  .describe("off: its requests neither ask the replicas' breakers nor tell them how they went.");
