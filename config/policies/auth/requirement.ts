import { z } from 'zod';
import type { ClaimValue, Requirement } from '../../../lib/auth/requirement.ts';

const OFF_OR_OBJECT = { error: 'off, or an object with claims or scopes' };
const CLAIMS = { error: 'an object of claims and their values, at least one' };
const VALUES = {
  error: 'a value, or a list of values of which one suffices: texts, whole numbers, true or false',
};
const SCOPES = { error: 'a list of scopes, at least one, each of visible characters without " and \\' };

const value = z.union([z.string().min(1, VALUES), z.int(), z.boolean()], VALUES);
const values = z
  .union([value.transform((one) => [one]), z.array(value, VALUES).min(1, VALUES)], VALUES)
  .describe('Values of which the claim must have one.');

/** `__proto__` would be lost on the way, and what it asks for with it. */
const NAME = { error: 'the name or path of a claim' };
const name = z.string(NAME).min(1, NAME);

type Given = Record<string, ClaimValue | ClaimValue[]>;

const byName: z.ZodType<Record<string, ClaimValue[]>, Given> = z.preprocess(
  (given: Given, context) => {
    const isUnusable = typeof given === 'object' && given !== null && Object.hasOwn(given, '__proto__');
    if (isUnusable) context.addIssue({ code: 'custom', message: 'claims other than __proto__' });
    return given;
  },
  z.record(name, values, CLAIMS),
);

const claims = byName
  .refine((given) => Object.keys(given).length > 0, CLAIMS)
  .describe('Claims by name or path, such as role or realm_access.roles. All must hold.');

/** RFC 6749 section 3.3. */
const scopes = z
  .array(z.string(SCOPES).regex(/^[\x21\x23-\x5b\x5d-\x7e]+$/, SCOPES), SCOPES)
  .min(1, SCOPES)
  .describe('Scopes that the token must have, all of them.');

export const requirementSchema = z
  .union(
    [
      z.literal('off'),
      z.literal(false),
      z
        .strictObject({ claims: claims.optional(), scopes: scopes.optional() })
        .refine((given) => given.claims !== undefined || given.scopes !== undefined, {
          ...OFF_OR_OBJECT,
          when: ({ issues }) => issues.length === 0,
        }),
    ],
    OFF_OR_OBJECT,
  )
  .describe('What a token must say; without it 403. off: nothing.');

/** What is required where the file says this. */
export function requirement(said: z.output<typeof requirementSchema> | undefined): Requirement | undefined {
  if (typeof said !== 'object') return undefined;
  return { claims: said.claims ?? NO_CLAIMS, scopes: said.scopes ?? [] };
}

const NO_CLAIMS: Readonly<Record<string, readonly ClaimValue[]>> = {};
