import { z } from 'zod';
import { policy } from './policy.ts';

export interface BreakerSettings {
  /** Whether its replicas have circuit breakers. */
  readonly breaker: boolean;
}

export const breaker = policy({
  schema: z
    .union([z.literal('off'), z.boolean()], { error: 'off, true or false' })
    .describe('Whether replicas that fail are left alone for a while. Default: true.'),
  settings: (said): BreakerSettings => ({ breaker: said === undefined || said === true }),
});
