import { tokenError } from '../errors.ts';
import { type Claims, invalid, shown } from './claims.ts';

/** The last moment that revocations last until, and that a token may end at: the end of the year 9999. */
export const END_OF_TIME_MS = Date.UTC(9999, 11, 31, 23, 59, 59, 999);

/** Claims in which issuers say what kind of token it is. */
const KIND_CLAIMS = ['type', 'token_type', 'tokenType', 'token_use', 'typ'] as const;

export interface ClaimRules {
  /** The `iss` that tokens must have. Default: any or none. */
  readonly issuer?: string | undefined;
  /** Tokens must have one of these in `aud`. Default: any or none. */
  readonly audience?: readonly string[] | undefined;
  /** By how much clocks may differ when `exp` and `nbf` are judged, in milliseconds. Default 0. */
  readonly clockToleranceMs?: number;
  /** Refuses tokens that live longer from `iat` to `exp`, or do not say. Default: any may. */
  readonly maxLifetimeMs?: number | undefined;
  /** Refuses tokens without `exp`. Default true. */
  readonly requireExpiry?: boolean;
}

/** When a token was issued and when it ends. */
export interface Dates {
  /** From `iat`; undefined when the token does not say. */
  readonly issuedAtMs: number | undefined;
  /** From `exp`; Infinity for a token that never expires. */
  readonly expiresAtMs: number;
  /** The moment from which it is refused as expired: `expiresAtMs` and the clock tolerance. */
  readonly acceptedUntilMs: number;
}

/** Throws `TokenError` unless now is a time at which the token may be used (RFC 7519 sections 4.1.4 to 4.1.6). */
export function checkDates(claims: Claims, rules: ClaimRules, nowMs: number): Dates {
  const { clockToleranceMs = 0, maxLifetimeMs, requireExpiry = true } = rules;
  const issuedAtMs = momentOf(claims, 'iat');
  const beginsAtMs = momentOf(claims, 'nbf');
  const statedEndMs = momentOf(claims, 'exp');
  if (requireExpiry && statedEndMs === undefined) throw invalid('exp is missing');
  const expiresAtMs = statedEndMs ?? Number.POSITIVE_INFINITY;
  const acceptedUntilMs = expiresAtMs + clockToleranceMs;
  const tolerance = `the clock tolerance is ${clockToleranceMs / 1000} s`;
  if (acceptedUntilMs <= nowMs) {
    throw tokenError('token_expired', `the token expired ${seconds(nowMs - expiresAtMs)} ago; ${tolerance}`);
  }
  if (beginsAtMs !== undefined && beginsAtMs > nowMs + clockToleranceMs) {
    throw invalid(`the token is not valid for another ${seconds(beginsAtMs - nowMs)} (nbf); ${tolerance}`);
  }
  if (maxLifetimeMs !== undefined && !(expiresAtMs - (issuedAtMs ?? Number.NaN) <= maxLifetimeMs)) {
    throw invalid(
      `the token does not say that it lives for at most ${maxLifetimeMs / 1000} s from iat to exp`,
    );
  }
  return { issuedAtMs, expiresAtMs, acceptedUntilMs };
}

/** Throws `TokenError` unless the token is from the issuer that is expected, and for us. */
export function checkParties(claims: Claims, { issuer, audience }: ClaimRules): void {
  if (issuer !== undefined && claims.value('iss') !== issuer) {
    throw invalid(`${shown(claims, 'iss')}; expected ${JSON.stringify(issuer)}`);
  }
  if (audience === undefined) return;
  const stated = claims.value('aud');
  const isOurs = (one: unknown) => typeof one === 'string' && audience.includes(one);
  if (isOurs(stated) || (Array.isArray(stated) && stated.some(isOurs))) return;
  const expected = audience.map((one) => JSON.stringify(one)).join(' or ');
  throw invalid(`${shown(claims, 'aud')}; expected ${expected}`);
}

/** How issuers call a token that only serves to get another one, without marks and letter case. */
const REFRESH_KINDS: ReadonlySet<string> = new Set(['refresh', 'refreshtoken']);

/**
 * Throws `TokenError` for a token that only serves to get another one: by a word in any letter case and with any marks
 * (`Refresh`, `refresh_token`), alone or among others in an array. Anything else, of whatever type, says nothing that is
 * understood here, and decides nothing.
 */
export function checkKind(claims: Claims): void {
  for (const name of KIND_CLAIMS) {
    const kind = claims.value(name);
    const isRefresh = Array.isArray(kind) ? kind.some(namesRefresh) : namesRefresh(kind);
    if (isRefresh) throw invalid(`${shown(claims, name)}: a refresh token is not an access token`);
  }
}

function namesRefresh(kind: unknown): boolean {
  return typeof kind === 'string' && REFRESH_KINDS.has(kind.toLowerCase().replace(/[^a-z]/g, ''));
}

/** A NumericDate (RFC 7519 section 2) in milliseconds; undefined when the token has no such claim. */
function momentOf(claims: Claims, name: 'exp' | 'nbf' | 'iat'): number | undefined {
  const value = claims.value(name);
  if (value === undefined) return undefined;
  if (typeof value === 'number' && value >= 0 && value * 1000 <= END_OF_TIME_MS) return value * 1000;
  throw invalid(`${shown(claims, name)}: not a number of seconds since 1970, up to the year 9999`);
}

function seconds(ms: number): string {
  return `${Math.round(ms / 100) / 10} s`;
}
