import { z } from 'zod';
import { duration } from '../kinds/kinds.ts';
import { OBJECT, policy } from './policy.ts';

export interface TimeoutSettings {
  /** Longest time from a request's arrival to the start of its response, in milliseconds, 1 or more. */
  readonly requestTimeoutMs: number;
  /** Longest silence within its response, in milliseconds, 1 or more. */
  readonly idleTimeoutMs: number;
}

export const timeouts = policy({
  schema: z
    .strictObject(
      {
        request: duration.schema.optional().describe('From a request to the start of its response: 3s.'),
        idle: duration.schema.optional().describe('Longest silence within a response: 10s.'),
      },
      OBJECT,
    )
    .describe('How long the gateway waits for the service.'),
  settings: (said, environment): TimeoutSettings => ({
    requestTimeoutMs: said?.request ?? environment.requestTimeoutMs,
    idleTimeoutMs: said?.idle ?? environment.idleTimeoutMs,
  }),
  tightens: (own, outer) =>
    own.requestTimeoutMs < outer.requestTimeoutMs || own.idleTimeoutMs < outer.idleTimeoutMs,
});
