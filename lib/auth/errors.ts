import { stackless } from '../util/stackless.ts';

export type TokenProblem = 'token_missing' | 'token_invalid' | 'token_expired' | 'token_revoked';

/**
 * The request does not carry a token that is accepted now. `code` says what is wrong with it, to clients too; `message`
 * has the exact reason, for the log alone. It may quote a few claims, never the token.
 */
export class TokenError extends Error {
  override readonly name = 'TokenError';
  readonly code: TokenProblem;
  readonly status = 401;

  constructor(code: TokenProblem, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }

  /** The `WWW-Authenticate` challenge (RFC 6750 section 3); a request without a token gets no error code. */
  get challenge(): string {
    return this.code === 'token_missing'
      ? 'Bearer'
      : `Bearer error="invalid_token", error_description="${this.code}"`;
  }
}

/** Without a stack: a flood of bad tokens must not cost one each. */
export function tokenError(code: TokenProblem, message: string, options?: ErrorOptions): TokenError {
  return stackless(() => new TokenError(code, message, options));
}

/** The keys that tokens are signed with are not known now, so nobody can tell a good token from a bad one. */
export class KeysUnavailableError extends Error {
  override readonly name = 'KeysUnavailableError';
  readonly code = 'keys_unavailable';
  readonly status = 503;
}

/** Not a revocation that can be made: the message says why. */
export class BadRevocationError extends Error {
  override readonly name = 'BadRevocationError';
  readonly code = 'bad_revocation';
  readonly status = 400;
}

/** No revocation has this id. */
export class NoSuchRevocationError extends Error {
  override readonly name = 'NoSuchRevocationError';
  readonly code = 'no_such_revocation';
  readonly status = 404;
}

/** Every gateway keeps all revocations in memory: there is room for so many. */
export class TooManyRevocationsError extends Error {
  override readonly name = 'TooManyRevocationsError';
  readonly code = 'too_many_revocations';
  readonly status = 409;
}
