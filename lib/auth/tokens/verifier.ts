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

/** Longest token that is read, in characters. */
export const MAX_TOKEN_LENGTH = 64 * 1024;

/** Which claims say who is calling. */
const DEFAULT_SUBJECT_CLAIMS = ['sub'] as const;

/** A token whose signature and claims were right when it was verified. */
export interface VerifiedToken extends Identity, Dates {
  readonly token: string;
  /**
   * Identifies the token in the store without storing it: SHA-256 in hex, independent of how its signature is written.
   */
  readonly digest: string;
  /** The token's id, from `jti`. */
  readonly jti: string | undefined;
  /** The values of all claims that may identify somebody: a revocation by subject may name any of them. */
  readonly names: readonly string[];
}

export interface VerifierOptions extends ClaimRules {
  /** Used for the HS algorithms only. */
  readonly secret?: string | undefined;
  /** Used for all other algorithms, never for HS. */
  readonly findKeys?: FindKeys | undefined;
  /** The only algorithms accepted, whatever a token's header says. */
  readonly algorithms: readonly Algorithm[];
  /** Claims that say who is calling, of which the first that a token has counts. Default `sub`. */
  readonly subjectClaims?: readonly string[];
  readonly clock?: Clock;
}

/** Throws or rejects with `TokenError`; rejects with `KeysUnavailableError` when the keys are not known. */
export type Verify = (token: string) => VerifiedToken | Promise<VerifiedToken>;

/**
 * Makes a function that checks a token's algorithm, signature and claims, and reads whose token it is. It knows nothing of
 * revocation.
 *
 * Each key is used for its own kind of algorithm only: HS tokens are checked with the secret and never with a public key,
 * all others with a public key and never with the secret. So a public key cannot be used as an HS secret. The cost of a
 * token is bounded: at most 64 KiB are read, and at most ten signatures are verified.
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

/** Reads and checks the header. The library that verifies the signature reads it again and enforces the algorithm. */
function headerOf(token: string): KeyHints {
  if (token.length > MAX_TOKEN_LENGTH) {
    throw invalid(`the token has ${token.length} characters, more than ${MAX_TOKEN_LENGTH}`);
  }
  const header = decodedHeader(token);
  const { alg, kid } = header;
  // `crit` lists extensions that must be understood (RFC 7515 section 4.1.11, RFC 7797). None is.
  if (header.crit !== undefined || header.b64 !== undefined) {
    throw invalid('not a JWT that can be checked: its header asks for an extension (crit or b64)');
  }
  if (typeof alg !== 'string') throw invalid('not a JWT that can be checked: its header names no algorithm');
  if (kid !== undefined && typeof kid !== 'string') throw invalid('kid is not a string');
  checkType(header.typ);
  return kid === undefined ? { alg } : { alg, kid };
}

/** Refuses media types of other kinds of JWT (RFC 8725 section 3.11), such as `refresh+jwt` or `logout+jwt`. */
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
    // The cause is left out: its message quotes the token.
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
  // Dates are checked with the other claims, by the same code for every kind of key.
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
  // Loaded on demand: a gateway without public keys does not need the rest of jose.
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
        // A key that cannot be used at all does not end the search: the next one may be right.
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

/** Checks the claims of a token whose signature is valid, and returns what is known about it. */
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
 * An HS signature can be written in one way only. Any other signature can be rewritten by the token's bearer and stays valid:
 * by unused bits of base64url, or by the negative of an ES signature's second half. With the signature in the digest, a
 * revoked token would come back under another digest.
 */
function digestOf(token: string, algorithm: string): string {
  const named = isHmac(algorithm) ? token : token.slice(0, token.lastIndexOf('.'));
  return createHash('sha256').update(named).digest('hex');
}

/** Only known messages of the library are passed on: others quote the token. */
function signatureProblem(cause: unknown): string {
  if (!(cause instanceof jwt.JsonWebTokenError)) return 'not a JWT: its payload is not a JSON object';
  const message = messageOf(cause);
  return message === 'invalid signature' ? 'the signature does not match' : `not a JWT: ${message}`;
}

/** Errors of jsonwebtoken inherit from `Error`, but `Error.isError` does not recognise them. */
function messageOf(cause: unknown): string {
  return excerpt(String((cause as Partial<Error> | undefined)?.message));
}

function neverAsked(): never {
  throw invalid('the algorithm is not accepted');
}
