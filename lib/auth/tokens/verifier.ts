import { createHash, createSecretKey } from 'node:crypto';
import { decodeProtectedHeader } from 'jose/decode/protected_header';
import jwt, { type Algorithm as JsonWebTokenAlgorithm } from 'jsonwebtoken';
import { type Clock, systemClock } from '../../clock/clock.ts';
import type { Identity } from '../../exchange/exchange.ts';
import { type Algorithm, type HmacAlgorithm, isHmac, type PublicKeyAlgorithm } from './algorithms.ts';
import { type ClaimRules, checkDates, checkKind, checkParties, type Dates } from './claimChecks.ts';
import { excerpt, invalid, readClaims } from './claims.ts';
import { type FindKeys, type KeyHints, MAX_KEYS_TRIED } from './findKeys.ts';
import { isPublicKey } from './pemKey.ts';
import { tokenIdOf, whoIs } from './who.ts';

/** Longest token that is looked at, in characters. */
export const MAX_TOKEN_LENGTH = 64 * 1024;

/** Which claims say who is calling. */
const DEFAULT_SUBJECT_CLAIMS = ['sub'] as const;

/** A token whose signature and claims were right when it was verified. */
export interface VerifiedToken extends Identity, Dates {
  readonly token: string;
  /** Names it in the store without storing it: SHA-256, hex, the same however its signature is written. */
  readonly digest: string;
  /** The token's own name, from `jti`. */
  readonly jti: string | undefined;
  /** Every value by which a revocation by subject covers it: that of each claim that could identify somebody. */
  readonly names: readonly string[];
}

export interface VerifierOptions extends ClaimRules {
  /** For the HS algorithms, and for no other. */
  readonly secret?: string | undefined;
  /** For all other algorithms, and for no HS one. */
  readonly findKeys?: FindKeys | undefined;
  /** The only algorithms accepted, whatever a token's header says. */
  readonly algorithms: readonly Algorithm[];
  /** Claims that say who is calling: the first that a token has counts. Default `sub`. */
  readonly subjectClaims?: readonly string[];
  readonly clock?: Clock;
}

/** Throws or rejects with `TokenError`; rejects with `KeysUnavailableError` when the keys are not known. */
export type Verify = (token: string) => VerifiedToken | Promise<VerifiedToken>;

/**
 * Makes a function that checks signature, algorithm and claims, and finds out who a token speaks for, because requests
 * are told apart by it. It knows nothing of revocation.
 *
 * A key serves its own kind of algorithm only: HS tokens are checked with the secret and never with a public key,
 * all others with a public key and never with the secret. So a public key cannot pass for an HS secret. What a token
 * costs is bounded before anybody works on it: 64 KiB, and ten signatures.
 */
export function createVerifier(options: Readonly<VerifierOptions>): Verify {
  const { algorithms, secret, findKeys } = options;
  if (algorithms.length === 0) throw new TypeError('createVerifier: name at least one algorithm');
  const checkHmac = hmacCheck(algorithms.filter(isHmac), secret);
  const checkPublicKey = publicKeyCheck(
    algorithms.filter((name) => !isHmac(name)) as PublicKeyAlgorithm[],
    findKeys,
  );
  const accepted: ReadonlySet<string> = new Set(algorithms);

  return function verify(token) {
    const header = headerOf(token);
    const { alg } = header;
    if (!accepted.has(alg)) {
      throw invalid(`alg is ${JSON.stringify(excerpt(alg))}; expected ${algorithms.join(' or ')}`);
    }
    if (!isHmac(alg)) return checkPublicKey(token, header).then(() => verified(token, alg, options));
    checkHmac(token);
    return verified(token, alg, options);
  };
}

/** The header is read twice, here and by whoever checks the signature: what is decided here, they enforce. */
function headerOf(token: string): KeyHints {
  if (token.length > MAX_TOKEN_LENGTH) {
    throw invalid(`the token has ${token.length} characters, more than ${MAX_TOKEN_LENGTH}`);
  }
  const header = decodedHeader(token);
  const { alg, kid } = header;
  // Extensions that must be understood (RFC 7515 section 4.1.11, RFC 7797): none is.
  if (header.crit !== undefined || header.b64 !== undefined) {
    throw invalid('not a JWT that can be checked: its header asks for an extension (crit or b64)');
  }
  if (typeof alg !== 'string') throw invalid('not a JWT that can be checked: its header names no algorithm');
  if (kid !== undefined && typeof kid !== 'string') throw invalid('kid is not a string');
  checkType(header.typ);
  return kid === undefined ? { alg } : { alg, kid };
}

/** A media type that names another kind of JWT (RFC 8725 section 3.11), such as `refresh+jwt` or `logout+jwt`. */
function checkType(typ: unknown): void {
  if (typeof typ !== 'string') return;
  const kind = typ.toLowerCase().replace(/^application\//, '');
  const isOther = kind.endsWith('+jwt') ? kind !== 'at+jwt' : kind === 'refresh' || kind === 'rt';
  if (isOther) throw invalid(`typ is ${JSON.stringify(excerpt(typ))}: that is not an access token`);
}

function decodedHeader(token: string): Readonly<Record<string, unknown>> {
  if (token.split('.', 4).length !== 3) throw invalid('not a JWT: it does not have three parts');
  try {
    return decodeProtectedHeader(token);
  } catch {
    // Without the cause, whose message quotes what it was given.
    throw invalid('not a JWT: its header is not a JSON object in base64url');
  }
}

function hmacCheck(
  algorithms: readonly HmacAlgorithm[],
  secret: string | undefined,
): (token: string) => void {
  if (algorithms.length === 0) return neverAsked;
  if (!secret) throw new TypeError('createVerifier: HS algorithms need a secret that is not empty');
  if (isPublicKey(secret))
    throw new TypeError('createVerifier: the secret is a public key, which anybody has');
  const key = createSecretKey(Buffer.from(secret));
  // Dates are judged with the other claims, in the same way for every kind of key.
  const options = {
    algorithms: algorithms as JsonWebTokenAlgorithm[],
    ignoreExpiration: true,
    ignoreNotBefore: true,
  };
  return (token) => {
    try {
      jwt.verify(token, key, options);
    } catch (cause) {
      throw invalid(signatureProblem(cause));
    }
  };
}

function publicKeyCheck(
  algorithms: readonly PublicKeyAlgorithm[],
  findKeys: FindKeys | undefined,
): (token: string, hints: KeyHints) => Promise<void> {
  if (algorithms.length === 0) return neverAsked;
  if (!findKeys) throw new TypeError(`createVerifier: ${algorithms.join(', ')} need public keys`);
  const options = { algorithms: [...algorithms] };
  // A gateway without public keys does without the rest of jose.
  const loading = import('jose');
  return async (token, hints) => {
    const { compactVerify, errors } = await loading;
    const keys = await findKeys(hints);
    let problem = 'the signature does not match';
    for (const key of keys.slice(0, MAX_KEYS_TRIED)) {
      try {
        await compactVerify(token, key, options);
        return;
      } catch (cause) {
        // A key that is no use at all is not the last word either: the next one may be right.
        const isWrongKey = cause instanceof errors.JWSSignatureVerificationFailed;
        if (!isWrongKey) problem = `the signature cannot be checked: ${messageOf(cause)}`;
      }
    }
    throw invalid(keys.length === 1 ? problem : `${problem} (${triedOf(keys.length)})`);
  };
}

function triedOf(count: number): string {
  if (count <= MAX_KEYS_TRIED) return `the token names none of the ${count} keys that fit`;
  return `the token names none of more than ${MAX_KEYS_TRIED} keys that fit; ${MAX_KEYS_TRIED} were tried`;
}

/** What is known of a token whose signature is right, once its claims are found to be so, too. */
function verified(token: string, algorithm: string, options: VerifierOptions): VerifiedToken {
  const { subjectClaims = DEFAULT_SUBJECT_CLAIMS, clock = systemClock } = options;
  const claims = readClaims(token);
  const dates = checkDates(claims, options, clock.now());
  checkParties(claims, options);
  checkKind(claims);
  return {
    token,
    digest: digestOf(token, algorithm),
    claims: token.slice(token.indexOf('.') + 1, token.lastIndexOf('.')),
    jti: tokenIdOf(claims),
    ...whoIs(claims, subjectClaims),
    ...dates,
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

/** In the library's own words alone: where it meets what is no object, or no JSON, the message quotes the token. */
function signatureProblem(cause: unknown): string {
  if (!(cause instanceof jwt.JsonWebTokenError)) return 'not a JWT: its payload is not a JSON object';
  const message = messageOf(cause);
  return message === 'invalid signature' ? 'the signature does not match' : `not a JWT: ${message}`;
}

/** Those of jsonwebtoken inherit from Error without being one. */
function messageOf(cause: unknown): string {
  return excerpt(String((cause as Partial<Error> | undefined)?.message));
}

function neverAsked(): never {
  throw invalid('the algorithm is not accepted');
}
