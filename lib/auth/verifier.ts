import { createHash } from 'node:crypto';
import type { JWTVerifyGetKey } from 'jose';
import { decodeProtectedHeader } from 'jose/decode/protected_header';
import jwt, { type Algorithm as JsonWebTokenAlgorithm } from 'jsonwebtoken';
import { type Clock, systemClock } from '../clock/clock.ts';
import type { Identity } from '../exchange/exchange.ts';
import { type Algorithm, type HmacAlgorithm, isHmac, type PublicKeyAlgorithm } from './algorithms.ts';
import { KeysUnavailableError, TokenError } from './errors.ts';

/** A token whose signature and dates were right when it was verified. */
export interface VerifiedToken extends Identity {
  readonly token: string;
  /** Names it in the store without storing it: SHA-256, hex, the same however its signature is written. */
  readonly digest: string;
  /** The token's own name, from `jti`. */
  readonly jti: string | undefined;
  /** From `iat`; undefined when the token does not say. */
  readonly issuedAtMs: number | undefined;
  /** From `exp`; Infinity for a token that never expires. */
  readonly expiresAtMs: number;
  /** The moment from which it is refused as expired: `expiresAtMs` and the clock tolerance. */
  readonly acceptedUntilMs: number;
}

/** Finds the public key for a token's header. Rejects when there is none, or with `KeysUnavailableError`. */
export type FindKey = JWTVerifyGetKey;

export interface VerifierOptions {
  /** For the HS algorithms, and for no other. */
  readonly secret?: string | undefined;
  /** For all other algorithms, and for no HS one. */
  readonly findKey?: FindKey | undefined;
  /** The only algorithms accepted, whatever a token's header says. */
  readonly algorithms: readonly Algorithm[];
  /** The `iss` that tokens must have. Default: any or none. */
  readonly issuer?: string | undefined;
  /** Tokens must have one of these in `aud`. Default: any or none. */
  readonly audience?: readonly string[] | undefined;
  /** By how much clocks may differ when `exp` and `nbf` are judged, in milliseconds. Default 0. */
  readonly clockToleranceMs?: number;
  /** Refuses tokens that live longer from `iat` to `exp`, or do not say. Default: any may. */
  readonly maxLifetimeMs?: number | undefined;
  readonly clock?: Clock;
}

/** Throws or rejects with `TokenError`; rejects with `KeysUnavailableError` when the keys are not known. */
export type Verify = (token: string) => VerifiedToken | Promise<VerifiedToken>;

type Claims = Readonly<Record<string, unknown>>;

/**
 * Makes a function that checks signature, algorithm and claims, and requires a `sub`, because requests are told
 * apart by it. It knows nothing of revocation.
 *
 * A key serves its own kind of algorithm only: HS tokens are checked with the secret and never with a public key,
 * all others with a public key and never with the secret. So a public key cannot pass for an HS secret.
 */
export function createVerifier(options: Readonly<VerifierOptions>): Verify {
  const { algorithms, secret, findKey } = options;
  if (algorithms.length === 0) throw new TypeError('createVerifier: name at least one algorithm');
  const checkHmac = hmacCheck(algorithms.filter(isHmac), secret, options);
  const checkPublicKey = publicKeyCheck(
    algorithms.filter((name) => !isHmac(name)) as PublicKeyAlgorithm[],
    findKey,
    options,
  );
  const accepted: ReadonlySet<string> = new Set(algorithms);

  return function verify(token) {
    const algorithm = algorithmOf(token);
    if (!accepted.has(algorithm)) throw new TokenError('token_invalid', 'the algorithm is not accepted');
    return isHmac(algorithm)
      ? verified(token, algorithm, checkHmac(token), options)
      : checkPublicKey(token).then((claims) => verified(token, algorithm, claims, options));
  };
}

/** The header is read twice, here and by whoever checks the signature: what is decided here, they enforce. */
function algorithmOf(token: string): string {
  try {
    const { alg, crit } = decodeProtectedHeader(token);
    // An extension that must be understood (RFC 7515 section 4.1.11): none is.
    if (alg !== undefined && crit === undefined) return alg;
  } catch (cause) {
    throw new TokenError('token_invalid', 'not a JWT', { cause });
  }
  throw new TokenError('token_invalid', 'the header names no algorithm, or an extension nobody knows');
}

function hmacCheck(
  algorithms: readonly HmacAlgorithm[],
  secret: string | undefined,
  { issuer, audience, clockToleranceMs = 0, clock = systemClock }: VerifierOptions,
): (token: string) => Claims {
  if (algorithms.length === 0) return neverAsked;
  if (!secret) throw new TypeError('createVerifier: HS algorithms need a secret that is not empty');
  const fixed = {
    algorithms: algorithms as JsonWebTokenAlgorithm[],
    issuer,
    audience: audience as [string, ...string[]] | undefined,
    clockTolerance: clockToleranceMs / 1000,
  };
  return (token) => {
    try {
      const payload = jwt.verify(token, secret, { ...fixed, clockTimestamp: clock.now() / 1000 });
      if (typeof payload === 'object') return payload;
    } catch (cause) {
      throw asTokenError(cause, cause instanceof jwt.TokenExpiredError);
    }
    throw new TokenError('token_invalid', 'the payload is not a JSON object');
  };
}

function publicKeyCheck(
  algorithms: readonly PublicKeyAlgorithm[],
  findKey: FindKey | undefined,
  { issuer, audience, clockToleranceMs = 0, clock = systemClock }: VerifierOptions,
): (token: string) => Promise<Claims> {
  if (algorithms.length === 0) return neverAsked;
  if (!findKey) throw new TypeError(`createVerifier: ${algorithms.join(', ')} need public keys`);
  const fixed = {
    algorithms: [...algorithms],
    ...(issuer !== undefined && { issuer }),
    ...(audience !== undefined && { audience: [...audience] }),
    clockTolerance: clockToleranceMs / 1000,
  };
  // A gateway without public keys does without the rest of jose.
  const loading = import('jose');
  return async (token) => {
    const { jwtVerify, errors } = await loading;
    try {
      const { payload } = await jwtVerify(token, findKey, { ...fixed, currentDate: new Date(clock.now()) });
      return payload;
    } catch (cause) {
      if (cause instanceof KeysUnavailableError) throw cause;
      throw asTokenError(cause, cause instanceof errors.JWTExpired);
    }
  };
}

function verified(
  token: string,
  algorithm: string,
  claims: Claims,
  { clockToleranceMs = 0, maxLifetimeMs, clock = systemClock }: VerifierOptions,
): VerifiedToken {
  const { jti } = claims;
  const issuedAtMs = milliseconds(claims.iat);
  const expiresAtMs = milliseconds(claims.exp) ?? Number.POSITIVE_INFINITY;
  const acceptedUntilMs = expiresAtMs + clockToleranceMs;
  // jose rounds its own clock down to seconds.
  if (acceptedUntilMs <= clock.now()) throw expired();
  if (maxLifetimeMs !== undefined && !(expiresAtMs - (issuedAtMs ?? Number.NaN) <= maxLifetimeMs)) {
    throw new TokenError('token_invalid', 'the token lives longer than it may, or does not say how long');
  }
  const subject = subjectOf(claims);
  return {
    token,
    digest: digestOf(token, algorithm),
    subject,
    key: JSON.stringify([claims.iss ?? null, 'sub', claims.sub]),
    claims: token.slice(token.indexOf('.') + 1, token.lastIndexOf('.')),
    jti: typeof jti === 'number' ? String(jti) : typeof jti === 'string' ? jti : undefined,
    issuedAtMs,
    expiresAtMs,
    acceptedUntilMs,
  };
}

/**
 * An HS signature has one spelling. Of all others a token's bearer can make another one that is as good: unused bits
 * of base64url, or the negative of an ES signature's second half. A revoked token would come back under a new name.
 */
function digestOf(token: string, algorithm: string): string {
  const named = isHmac(algorithm) ? token : token.slice(0, token.lastIndexOf('.'));
  return createHash('sha256').update(named).digest('hex');
}

function subjectOf({ sub }: Claims): string {
  // Numbers are not what RFC 7519 asks for, but services issue them.
  const subject = typeof sub === 'number' ? String(sub) : sub;
  // Half a character (a lone surrogate) fits into no field and no key.
  if (typeof subject === 'string' && subject !== '' && subject.isWellFormed()) return subject;
  throw new TokenError('token_invalid', 'the token has no sub claim that names anybody');
}

function milliseconds(seconds: unknown): number | undefined {
  return typeof seconds === 'number' ? seconds * 1000 : undefined;
}

function asTokenError(cause: unknown, isExpired: boolean): TokenError {
  if (isExpired) return expired(cause);
  if (cause instanceof TokenError) return cause;
  return new TokenError('token_invalid', Error.isError(cause) ? cause.message : 'not a token', { cause });
}

function expired(cause?: unknown): TokenError {
  return new TokenError('token_expired', 'the token has expired', { cause });
}

function neverAsked(): never {
  throw new TokenError('token_invalid', 'the algorithm is not accepted');
}
