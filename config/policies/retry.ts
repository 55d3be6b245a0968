import { z } from 'zod';
import { policy } from './policy.ts';

export interface RetrySettings {
  /** Whether a request may be sent a second time. */
  readonly retries: boolean;
  /** Whether that may happen while the first replica still has it. */
  readonly hedges: boolean;
}

const SWITCH = { error: 'off, true or false' };

export const retry = policy({
  schema: z
    .union(
      [
        z.literal('off'),
        z.boolean(),
        z.strictObject({
          hedge: z
            .union([z.literal('off'), z.boolean()], SWITCH)
            .optional()
            .describe('Whether it may be sent while the first replica still has it. Default: true.'),
        }),
      ],
      { error: 'off, true, false or an object' },
    )
    .describe('Whether a request that got no response is sent once more. Default: true.'),
  settings: (said): RetrySettings => {
    const retries = said !== 'off' && said !== false;
    const hedge = typeof said === 'object' ? said.hedge : undefined;
    return { retries, hedges: retries && hedge !== 'off' && hedge !== false };
  },
  tightens: (own, outer) => (!own.retries && outer.retries) || (!own.hedges && outer.hedges),
});
