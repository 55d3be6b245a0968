import { hash } from 'node:crypto';
import { type Claims, invalid, shown } from './claims.ts';

/** Longest subject and `jti`, in characters: a revocation names either of them. */
export const MAX_NAME_LENGTH = 1024;

/** A longer key is named by its digest. */
const LONGEST_KEY = 256;

/** A number that every parser reads as the same one, if it is a safe integer: no fraction, exponent or minus zero. */
const PLAIN_INTEGER = /^(?:0|-?[1-9]\d*)$/;

/** Who a token speaks for. */
export interface Who {
  /** The identifying claim's value, as text. */
  readonly subject: string;
  /**
   * The same for no two people: issuer, claim, type and value. At most 256 characters of ASCII without quotes and
   * backslashes, so that caches and limits keep it as it is.
   */
  readonly key: string;
  /** Every value by which a revocation may name this person: that of each claim that could identify somebody. */
  readonly names: readonly string[];
}

/**
 * Finds out who a token speaks for: the first claim of `subjectClaims` that it has counts. Throws `TokenError` when it
 * has none of them, or when that one is neither a non-empty well-formed string of at most 1,024 characters nor a safe
 * integer in plain digits. It never goes on to the next claim then: whoever can spoil one claim could otherwise choose
 * which one counts.
 */
export function whoIs(claims: Claims, subjectClaims: readonly string[]): Who {
  const claim = subjectClaims.find((name) => claims.text(name) !== undefined);
  if (claim === undefined) {
    throw invalid(`the token names nobody: it has none of the claims ${subjectClaims.join(', ')}`);
  }
  const value = claims.value(claim);
  if (!isName(value) && !isPlainInteger(value, claims.text(claim))) {
    throw invalid(
      `${shown(claims, claim)}: not a string of 1 to ${MAX_NAME_LENGTH} characters or a safe integer`,
    );
  }
  return {
    subject: String(value),
    key: keyOf(issuerOf(claims), claim, value),
    names: subjectClaims.flatMap((name) => nameIn(claims, name) ?? []),
  };
}

/** Values are encoded, so that none passes for the end of one part and the beginning of the next. */
function keyOf(issuer: string | undefined, claim: string, value: string | number): string {
  const by = issuer === undefined ? 'nobody' : `iss:${encodeURIComponent(issuer)}`;
  const key = `${by} ${encodeURIComponent(claim)} ${typeof value}:${encodeURIComponent(value)}`;
  // Without a blank it is no other's key.
  return key.length <= LONGEST_KEY ? key : `sha256:${hash('sha256', key, 'base64url')}`;
}

/** The token's own name, from `jti`; undefined for a token without one. Throws `TokenError` when nobody could name it. */
export function tokenIdOf(claims: Claims): string | undefined {
  const id = claims.value('jti');
  if (id === undefined || id === '') return undefined;
  const name = nameIn(claims, 'jti');
  if (name === undefined)
    throw invalid(`${shown(claims, 'jti')}: not a string of at most ${MAX_NAME_LENGTH} characters`);
  return name;
}

/** Throws `TokenError` when `iss` is anything but text. */
function issuerOf(claims: Claims): string | undefined {
  const issuer = claims.value('iss');
  if (issuer === undefined || isName(issuer) || issuer === '') return issuer;
  throw invalid(`${shown(claims, 'iss')}: not a string of at most ${MAX_NAME_LENGTH} characters`);
}

/** A number as it is written: a double may be that of another number, too. */
function nameIn(claims: Claims, claim: string): string | undefined {
  const value = claims.value(claim);
  if (isName(value)) return value;
  const text = claims.text(claim);
  return typeof value === 'number' && text !== undefined && text.length <= MAX_NAME_LENGTH ? text : undefined;
}

/** Half a character (a lone surrogate) fits into no field and no key. */
function isName(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= MAX_NAME_LENGTH && value.isWellFormed();
}

function isPlainInteger(value: unknown, text = ''): value is number {
  return Number.isSafeInteger(value) && PLAIN_INTEGER.test(text);
}
