import { createHash } from 'node:crypto';
import jwt, { type Algorithm, type JwtPayload } from 'jsonwebtoken';
import { type Clock, systemClock } from '../clock/clock.ts';
import type { Identity } from '../exchange/exchange.ts';
import { TokenError } from './errors.ts';

/** A token whose signature and dates were right when it was verified. */
export interface VerifiedToken extends Identity {
  readonly token: string;
  /** SHA-256 of the token, hex: names it in the store without storing it. */
  readonly digest: string;
  /** Infinity for a token that never expires. */
  readonly expiresAtMs: number;
}

export interface VerifierOptions {
  readonly secret: string;
  /** The only algorithms accepted, whatever a token's header says. */
  readonly algorithms: readonly Algorithm[];
  readonly clock?: Clock;
}

export type Verify = (token: string) => VerifiedToken;

/**
 * Makes a function that checks signature, algorithm, `exp` and `nbf` and requires a `sub`, because requests are
 * told apart by it. It throws `TokenError`; it knows nothing of revocation.
 */
export function createVerifier({
  secret,
  algorithms,
  clock = systemClock,
}: Readonly<VerifierOptions>): Verify {
  if (!secret) throw new TypeError('createVerifier: secret must not be empty');
  if (algorithms.length === 0) throw new TypeError('createVerifier: name at least one algorithm');
  const accepted = [...algorithms];

  return function verify(token) {
    const claims = checked(() =>
      jwt.verify(token, secret, { algorithms: accepted, clockTimestamp: clock.now() / 1000 }),
    );
    const { sub, exp } = claims;
    // Numbers are not what RFC 7519 asks for, but services issue them.
    const subject = typeof sub === 'number' ? String(sub) : sub;
    // Half a character (a lone surrogate) fits into no field and no key.
    if (typeof subject !== 'string' || subject === '' || !subject.isWellFormed()) {
      throw new TokenError('token_invalid', 'the token has no sub claim that names anybody');
    }
    return {
      token,
      digest: createHash('sha256').update(token).digest('hex'),
      subject,
      claims: token.slice(token.indexOf('.') + 1, token.lastIndexOf('.')),
      expiresAtMs: exp === undefined ? Number.POSITIVE_INFINITY : exp * 1000,
    };
  };
}

function checked(verify: () => string | JwtPayload): JwtPayload {
  let payload: string | JwtPayload;
  try {
    payload = verify();
  } catch (cause) {
    if (cause instanceof jwt.TokenExpiredError)
      throw new TokenError('token_expired', 'the token has expired', { cause });
    const reason = cause instanceof Error ? cause.message : 'not a token';
    throw new TokenError('token_invalid', reason, { cause });
  }
  if (typeof payload === 'string') throw new TokenError('token_invalid', 'the payload is not a JSON object');
  return payload;
}
