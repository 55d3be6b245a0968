import { hash } from 'node:crypto';
import { type Claims, invalid, shown } from './claims.ts';

/** Longest subject and longest `jti`, in characters. Both are named in revocations. */
export const MAX_NAME_LENGTH = 1024;

/** A longer key is replaced by its digest. */
const LONGEST_KEY = 256;

/** Numbers that every parser reads alike, as long as they are safe integers: no fraction, exponent or minus zero. */
const PLAIN_INTEGER = /^(?:0|-?[1-9]\d*)$/;

/** The person or service that a token identifies. */
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
 * Reads whom a token identifies: the first claim of `subjectClaims` that it has counts. Throws `TokenError` when it has none
 * of them, or when that claim is neither a non-empty well-formed string of at most 1,024 characters nor a safe integer in
 * plain digits. It never goes on to the next claim then: otherwise somebody who can spoil one claim could choose which one
 * counts.
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

/** The parts are encoded, so that no value can be mistaken for the end of one part and the beginning of the next. */
function keyOf(issuer: string | undefined, claim: string, value: string | number): string {
  const by = issuer === undefined ? 'nobody' : `iss:${encodeURIComponent(issuer)}`;
  const key = `${by} ${encodeURIComponent(claim)} ${typeof value}:${encodeURIComponent(value)}`;
  // The digest has no blank, and every other key has, so the two cannot be equal.
  return key.length <= LONGEST_KEY ? key : `sha256:${hash('sha256', key, 'base64url')}`;
}

/**
 * The token's id, from `jti`; undefined for a token without one. Throws `TokenError` when a revocation could not name
 * it.
 */
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

/** The number as it is written: a double may stand for several numbers. */
function nameIn(claims: Claims, claim: string): string | undefined {
  const value = claims.value(claim);
  if (isName(value)) return value;
  const text = claims.text(claim);
  return typeof value === 'number' && text !== undefined && text.length <= MAX_NAME_LENGTH ? text : undefined;
}

/** A lone surrogate is half a character, which cannot be written to a header field or a key. */
function isName(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= MAX_NAME_LENGTH && value.isWellFormed();
}

function isPlainInteger(value: unknown, text = ''): value is number {
  return Number.isSafeInteger(value) && PLAIN_INTEGER.test(text);
}
