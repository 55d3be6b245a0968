import { tokenError } from '../errors.ts';
import { type Claims, invalid, shown } from './claims.ts';

/** The latest time at which a token or a revocation may expire: the end of the year 9999. */
export const END_OF_TIME_MS = Date.UTC(9999, 11, 31, 23, 59, 59, 999);

/** Claims in which issuers state the kind of the token. */
const KIND_CLAIMS = ['type', 'token_type', 'tokenType', 'token_use', 'typ'] as const;

export interface ClaimRules {
  /** The `iss` that tokens must have. Default: any value or none. */
  readonly issuer?: string | undefined;
  /** Values of which tokens must have one in `aud`. Default: any value or none. */
  readonly audience?: readonly string[] | undefined;
  /** By how much clocks may differ when `exp` and `nbf` are judged, in milliseconds. Default 0. */
  readonly clockToleranceMs?: number;
  /** Longest time from `iat` to `exp`; tokens without `iat` are refused as well. Default: no limit. */
  readonly maxLifetimeMs?: number | undefined;
  /** Refuses tokens without `exp`. Default true. */
  readonly requireExpiry?: boolean;
}

/** When a token was issued and when it ends. */
export interface Dates {
  /** From `iat`; undefined for a token without it. */
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

/** Throws `TokenError` unless the token has the expected issuer and audience. */
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

/** Names for tokens that only serve to get another token, in lower case and without punctuation. */
const REFRESH_KINDS: ReadonlySet<string> = new Set(['refresh', 'refreshtoken']);

/**
 * Throws `TokenError` for a token that only serves to get another token, such as a refresh token. The names are compared in
 * any letter case and with any punctuation (`Refresh`, `refresh_token`), alone or in an array. Any other value is ignored,
 * whatever its type.
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

/** The claim's NumericDate (RFC 7519 section 2) in milliseconds; undefined when the token has no such claim. */
function momentOf(claims: Claims, name: 'exp' | 'nbf' | 'iat'): number | undefined {
  const value = claims.value(name);
  if (value === undefined) return undefined;
  if (typeof value === 'number' && value >= 0 && value * 1000 <= END_OF_TIME_MS) return value * 1000;
  throw invalid(`${shown(claims, name)}: not a number of seconds since 1970, up to the year 9999`);
}

function seconds(ms: number): string {
  return `${Math.round(ms / 100) / 10} s`;
}
