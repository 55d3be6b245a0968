import { hash } from 'node:crypto';
import { z } from 'zod';
import type { Identity } from '../exchange/exchange.ts';
import { type Member, StoreUnavailableError } from '../store/store.ts';
import { withoutKeys } from './keyText.ts';

/** An `iss` that no issuer of tokens has: a service that must tell keys from users for certain reads it. */
export const KEY_ISSUER = 'urn:faf-cab-gateway:api-keys';

const claim = z.union([z.string(), z.number(), z.boolean()]);

/** How much of a field that cannot be understood an error message repeats, in characters. */
const MAX_SHOWN_FIELD = 100;

/** What a key says besides who it is, in the same words as a token. */
const grants = {
  name: z.string(),
  owner: z.string(),
  scopes: z.array(z.string()),
  claims: z.record(z.string(), z.union([claim, z.array(claim)])),
  /** Null: never. */
  expiresAtMs: z.number().nullable(),
};

const state = z.object({
  kind: z.literal('key'),
  id: z.string(),
  /** Each change has the next one. */
  version: z.number(),
  /** Tells apart two changes that were made at the same time. */
  nonce: z.string(),
  ...grants,
  /** SHA-256 of the key. A slow hash would protect nothing more: 256 random bits cannot be guessed. */
  digest: z.string(),
  /** Keys that this one has replaced, and how long each goes on being accepted. */
  replaced: z.array(z.object({ digest: z.string(), untilMs: z.number() })),
  createdAtMs: z.number(),
  /** When its secret was made. */
  rotatedAtMs: z.number(),
});

const tombstone = z.object({ kind: z.literal('revoked'), id: z.string(), revokedAtMs: z.number() });

const record = z.discriminatedUnion('kind', [state, tombstone]);

/** A key as it was from one change to the next. */
export type KeyState = z.output<typeof state>;
/** Says that a key was revoked, whatever else is said of it. */
export type Tombstone = z.output<typeof tombstone>;
export type KeyRecord = KeyState | Tombstone;

/** What an operator decides about a key. */
export type KeyGrants = Pick<KeyState, keyof typeof grants>;

/** Who is calling with a key. Never equal to a user: no key of a token's identity begins so, see `whoIs`. */
export interface KeyIdentity extends Identity {
  readonly apiKey: { readonly id: string; readonly owner: string };
}

/** A key's state, and whom requests with it are of: the same object for all of them. */
export interface KnownKey {
  readonly state: KeyState;
  readonly identity: KeyIdentity;
}

/** SHA-256 of a key. */
export function digestOfKey(text: string): string {
  return hash('sha256', text, 'base64url');
}

/** The field of a record within its group. It never changes its value, so copies can be merged in any order. */
export function fieldOf(each: KeyRecord): string {
  return each.kind === 'revoked' ? `${each.id}.revoked` : `${each.id}.${each.version}.${each.nonce}`;
}

/** The key that a field is about, whatever its record says. */
function idOfField(field: string): string {
  const end = field.indexOf('.');
  return end === -1 ? field : field.slice(0, end);
}

/**
 * A record that cannot be read: it was damaged, or is of a version of the gateway that this one does not know. It might be what
 * revokes the key of its field, so that key is refused. It says nothing of any other.
 */
export interface UnreadableRecord {
  readonly kind: 'unreadable';
  readonly id: string;
  /** What a request with the key gets: 503, since nobody can say that the key is wrong. */
  readonly problem: StoreUnavailableError;
}

export function readRecord({ id: field, value }: Member): KeyRecord | UnreadableRecord {
  try {
    return record.parse(JSON.parse(value.toString()));
  } catch (cause) {
    // The field may be anything, and is shown in the log.
    const shown = withoutKeys(field.slice(0, MAX_SHOWN_FIELD));
    const what = `the record ${JSON.stringify(shown)} of API keys in the store cannot be read`;
    return {
      kind: 'unreadable',
      id: idOfField(field),
      problem: new StoreUnavailableError(what, { cause }),
    };
  }
}

/** The identity behind a key. It stays the same when the key is rotated. */
export function identityOf({ id, owner, name, scopes, claims, expiresAtMs }: KeyState): KeyIdentity {
  const subject = `apikey:${id}`;
  const said = {
    ...claims,
    iss: KEY_ISSUER,
    sub: subject,
    name,
    owner,
    ...(scopes.length > 0 && { scope: scopes.join(' ') }),
    ...(expiresAtMs !== null && { exp: Math.floor(expiresAtMs / 1000) }),
  };
  return {
    subject,
    key: `apikey ${id}`,
    claims: Buffer.from(JSON.stringify(said)).toString('base64url'),
    apiKey: { id, owner },
  };
}
