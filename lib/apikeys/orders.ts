import { z } from 'zod';
import { withoutKeys } from './keyText.ts';

const MAX_NAME_LENGTH = 128;
const MAX_SCOPES = 64;
const MAX_SCOPE_LENGTH = 128;
const MAX_CLAIMS_BYTES = 2048;
/** The longest grace time of a rotation. */
const MAX_GRACE_SECONDS = 30 * 24 * 60 * 60;
/** Keys on one page of the list, unless another number is asked for. */
const DEFAULT_PAGE = 100;
const MAX_PAGE = 500;
/** How much of a wrong value an error message repeats, in characters. */
const SHOWN_CHARACTERS = 60;

/** Claims that the gateway sets itself, or that mean something else than an operator could want. */
const RESERVED = ['iss', 'sub', 'name', 'owner', 'scope', 'scp', 'exp', 'iat', 'nbf', 'jti', 'aud'];

const NAME = `a text of 1 to ${MAX_NAME_LENGTH} characters without control characters and without an API key`;
const SCOPES = `a list of at most ${MAX_SCOPES} scopes, each of 1 to ${MAX_SCOPE_LENGTH} visible characters without " and \\ and without an API key`;
const CLAIMS = `an object of claims and their texts, numbers, true or false, or lists of those, of at most ${MAX_CLAIMS_BYTES} bytes, without an API key, __proto__, ${RESERVED.join(', ')}`;
const TIME =
  'an ISO 8601 time with an offset that is not over yet, such as 2030-01-31T12:00:00Z, or null for never';
const GRACE = `a whole number of seconds from 0 to ${MAX_GRACE_SECONDS}`;
const LIMIT = `a whole number from 1 to ${MAX_PAGE}`;

const name = z
  .string(NAME)
  .min(1, NAME)
  .max(MAX_NAME_LENGTH, NAME)
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
  .regex(/^[^\u0000-\u001f\u007f-\u009f]*$/, NAME)
  .refine((text) => text.isWellFormed(), NAME)
  .refine(hasNoKey, NAME);

/** RFC 6749 section 3.3. */
const scopes = z
  .array(
    z
      .string(SCOPES)
      .max(MAX_SCOPE_LENGTH, SCOPES)
      .regex(/^[\x21\x23-\x5b\x5d-\x7e]+$/, SCOPES)
      .refine(hasNoKey, SCOPES),
    SCOPES,
  )
  .max(MAX_SCOPES, SCOPES);

const claim = z.union([z.string(), z.number(), z.boolean()], CLAIMS);
const claims = z
  .unknown()
  .refine(
    (given) => typeof given !== 'object' || given === null || !Object.hasOwn(given, '__proto__'),
    CLAIMS,
  )
  .pipe(z.record(z.string(), z.union([claim, z.array(claim, CLAIMS)], CLAIMS), CLAIMS))
  .refine((given) => !Object.keys(given).some((each) => RESERVED.includes(each)), CLAIMS)
  .refine((given) => Buffer.byteLength(JSON.stringify(given)) <= MAX_CLAIMS_BYTES, CLAIMS)
  .refine((given) => hasNoKey(JSON.stringify(given)), CLAIMS);

const expiry = (nowMs: number) =>
  z
    .union([z.null(), z.iso.datetime({ offset: true }).transform(Date.parse)], TIME)
    .refine((ms) => ms === null || ms > nowMs, TIME);

const grants = (nowMs: number) => ({ name, owner: name, scopes, claims, expiresAt: expiry(nowMs) });

/** What a new key needs: `name` and `owner`; without `scopes`, `claims` and `expiresAt` it has none. */
export function creationSchema(nowMs: number) {
  const { scopes: listed, claims: said, expiresAt: ends, ...needed } = grants(nowMs);
  return z
    .strictObject({
      ...needed,
      scopes: listed.default([]),
      claims: said.default({}),
      expiresAt: ends.default(null),
    })
    .transform(({ expiresAt, ...rest }) => ({ ...rest, expiresAtMs: expiresAt }));
}

/** What may change: any of what a new key has, at least one. */
export function changeSchema(nowMs: number) {
  return z
    .strictObject(grants(nowMs))
    .partial()
    .refine((given) => Object.values(given).some((value) => value !== undefined), 'at least one field')
    .transform(withExpiry);
}

/** How a key is rotated: the present one ends at once, unless `graceSeconds` says otherwise. */
export function rotationSchema(nowMs: number) {
  return z
    .strictObject({
      graceSeconds: z.int(GRACE).min(0, GRACE).max(MAX_GRACE_SECONDS, GRACE).default(0),
      expiresAt: expiry(nowMs).optional(),
    })
    .transform(({ graceSeconds, ...rest }) => ({ graceMs: graceSeconds * 1000, ...withExpiry(rest) }));
}

/** Which part of the list is asked for, by the query. */
export const pageSchema = z.strictObject({
  limit: z
    .string()
    .regex(/^\d{1,3}$/, LIMIT)
    .transform(Number)
    .refine((limit) => limit >= 1 && limit <= MAX_PAGE, LIMIT)
    .default(DEFAULT_PAGE),
  after: z.string().optional(),
  owner: z.string().optional(),
});

/** What an operator says of a key is stored as it is, listed and shown to services: a key put there would be readable. */
function hasNoKey(text: string): boolean {
  return withoutKeys(text) === text;
}

function withExpiry<Given extends { readonly expiresAt?: number | null | undefined }>(given: Given) {
  const { expiresAt, ...rest } = given;
  const said = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined));
  return { ...(said as typeof rest), ...(expiresAt !== undefined && { expiresAtMs: expiresAt }) };
}

/** What is ordered, or else what is wrong with it, in words for people. */
export interface Asked<Order> {
  readonly order: Order | undefined;
  readonly problem: string | undefined;
}

export function askedOf<Order>(given: unknown, schema: z.ZodType<Order>): Asked<Order> {
  const { success, data, error } = schema.safeParse(given);
  if (success) return { order: data, problem: undefined };
  const [issue] = error.issues;
  return { order: undefined, problem: issue && problemText(issue, given) };
}

/** Names the field, what is accepted and what was given. A key that was put there by mistake is not repeated. */
function problemText(issue: z.core.$ZodIssue, given: unknown): string {
  const [field] = issue.path;
  if (issue.code === 'unrecognized_keys') return `${shortened(issue.keys.join(', '))}: no such field`;
  if (field === undefined)
    return issue.code === 'custom' ? `expected ${issue.message}` : 'expected a JSON object';
  const value = (given as Readonly<Record<PropertyKey, unknown>>)[field];
  const got = value === undefined ? 'nothing' : shortened(JSON.stringify(value));
  return `${String(field)}: expected ${issue.message}; got ${got}`;
}

/** A wrong value as an error message may repeat it. */
export function shortened(text: string): string {
  const safe = withoutKeys(text);
  return safe.length <= SHOWN_CHARACTERS ? safe : `${safe.slice(0, SHOWN_CHARACTERS)}...`;
}
