import { z } from 'zod';
import { policy } from '../policy.ts';
import { oneOf } from './words.ts';

export interface TokenSettings {
  /** `issue`: its responses hand tokens out, and POST needs none. `revoke`: a request revokes the token that it comes with. */
  readonly token: 'issue' | 'revoke' | undefined;
}

export const token = policy({
  schema: z
    .enum(['issue', 'revoke'], oneOf(['issue', 'revoke'], 'issue or revoke'))
    .describe('issue: a POST needs no token and is given one, as a login. revoke: a logout.'),
  settings: (said): TokenSettings => ({ token: said }),
});
