import { z } from 'zod';
import { policy } from './policy.ts';

/** Whether users must say who they are. `optional`: they may, and a token that is not good is refused. */
export type AuthNeed = 'required' | 'optional' | 'none';

export interface AuthSettings {
  readonly auth: AuthNeed;
}

export const auth = policy({
  schema: z
    .enum(['required', 'optional', 'none'], { error: 'required, optional or none' })
    .describe('Whether users must say who they are. Default: required.'),
  settings: (said): AuthSettings => ({ auth: said ?? 'required' }),
});
