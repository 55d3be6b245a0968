import { z } from 'zod';
import { FLAG, policy } from '../policy.ts';

export interface PassAuthorizationSettings {
  /** Whether the service gets the users' `Authorization`, and the cookie that a token was read from. */
  readonly passAuthorization: boolean;
}

export const passAuthorization = policy({
  schema: z
    .boolean(FLAG)
    .describe(
      'Whether the service gets Authorization, and a cookie that a token is read from. Default: false.',
    ),
  settings: (said): PassAuthorizationSettings => ({ passAuthorization: said ?? false }),
  tightens: (own, outer) => outer.passAuthorization && !own.passAuthorization,
});
