import { z } from 'zod';
import type { AuthNeed } from '../../../lib/auth/asking.ts';
import type { Requirement } from '../../../lib/auth/requirement.ts';
import { sourceText, type TokenSource } from '../../../lib/auth/sources/source.ts';
import { policy } from '../policy.ts';
import { requirement, requirementSchema } from './requirement.ts';
import { sourcesSchema } from './sources.ts';
import { oneOf } from './words.ts';

/** Whether users must say who they are, what their tokens must say, and where they may be. */
export interface AuthRule {
  readonly need: AuthNeed;
  /** Undefined: nothing more than who it is about. Where there is one, `need` is `required`. */
  readonly require: Requirement | undefined;
  /** In order. Undefined: `Authorization`, and the query on AUTH_QUERY_TOKEN_PATHS. */
  readonly sources: readonly TokenSource[] | undefined;
}

export interface AuthSettings {
  readonly auth: AuthRule;
}

const NEEDS = ['required', 'optional', 'none'] as const;
const NEED = oneOf(NEEDS.slice(0, 2), 'required or optional; auth: none, where nobody is to be asked');

/** A word says nothing of sources, which are those of the level outside. */
const word = z.enum(NEEDS).transform((need) => ({ need, require: 'off' as const, sources: undefined }));

const rule = z
  .strictObject({
    need: z
      .enum(['required', 'optional'], NEED)
      .optional()
      .describe('Whether there must be a token. Default: required.'),
    require: requirementSchema.optional(),
    sources: sourcesSchema.optional(),
  })
  .refine(({ need, require }) => need !== 'optional' || typeof require !== 'object', {
    path: ['need'],
    error: 'required, since require asks something of a token: who brings none would be let in',
  })
  .transform(({ need, ...rest }) => ({
    ...rest,
    // Also where the level outside asks nobody.
    need: need ?? (typeof rest.require === 'object' ? ('required' as const) : undefined),
  }));

export const auth = policy({
  schema: z
    .union([word, rule], oneOf(NEEDS, 'required, optional, none or an object'))
    .describe('Whether users must say who they are, and what their tokens must say. Default: required.'),
  settings: (said): AuthSettings => ({
    auth: {
      need: said?.need ?? 'required',
      require: requirement(said?.require),
      sources: said?.sources,
    },
  }),
  problem: ({ need, require }) =>
    need === 'optional' && typeof require === 'object'
      ? {
          at: ['need'],
          text: 'is "optional", and require is that of a level further out: expected require: off, or need: required',
        }
      : undefined,
});

/** A rule in a few words: `required, role, scope budget:write, from cookie:session`. */
export function authText({ need, require, sources }: AuthRule): string {
  const { claims = {}, scopes = [] } = require ?? {};
  return [
    need,
    ...Object.keys(claims),
    ...scopes.map((scope) => `scope ${scope}`),
    ...(sources ? [`from ${sources.map(sourceText).join(' ')}`] : []),
  ].join(', ');
}
