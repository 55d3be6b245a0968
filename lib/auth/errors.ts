import { stackless } from '../util/stackless.ts';

export type TokenProblem = 'token_missing' | 'token_invalid' | 'token_expired' | 'token_revoked';

export interface TokenErrorOptions extends ErrorOptions {
  /** A further challenge, for what would do in place of a token. */
  readonly alternative?: string;
}

/**
 * The request has no token that is accepted now. `code` says why and is shown to clients; `message` has the exact reason,
 * for the log only. It may quote a few claims, never the token.
 */
export class TokenError extends Error {
  override readonly name = 'TokenError';
  readonly code: TokenProblem;
  readonly status = 401;

  readonly #alternative: string | undefined;

  constructor(code: TokenProblem, message: string, options?: TokenErrorOptions) {
    super(message, options);
    this.code = code;
    this.#alternative = options?.alternative;
  }

  /** The `WWW-Authenticate` challenge (RFC 6750 section 3); a request without a token gets no error code. */
  get challenge(): string {
    const bearer =
      this.code === 'token_missing'
        ? 'Bearer'
        : `Bearer error="invalid_token", error_description="${this.code}"`;
    return this.#alternative === undefined ? bearer : `${bearer}, ${this.#alternative}`;
  }
}

/** Makes the error without a stack trace, which would make a flood of bad tokens expensive. */
export function tokenError(code: TokenProblem, message: string, options?: TokenErrorOptions): TokenError {
  return stackless(() => new TokenError(code, message, options));
}

/**
 * The token or API key is good and does not say what the route asks for. `message` names the claim or the scopes, for the log only, and no
 * value of a token.
 */
export class InsufficientScopeError extends Error {
  override readonly name = 'InsufficientScopeError';
  readonly code = 'insufficient_scope';
  readonly status = 403;
  /** The `WWW-Authenticate` challenge (RFC 6750 section 3.1), with the scopes that would do. */
  readonly challenge: string;

  constructor(message: string, scopes: readonly string[], scheme: 'Bearer' | 'ApiKey' = 'Bearer') {
    super(message);
    const needed = scopes.length > 0 ? `, scope="${scopes.join(' ')}"` : '';
    this.challenge = `${scheme} error="insufficient_scope"${needed}`;
  }
}

/** The keys that signatures are checked with are not known, so no token can be accepted. */
export class KeysUnavailableError extends Error {
  override readonly name = 'KeysUnavailableError';
  readonly code = 'keys_unavailable';
  readonly status = 503;
}

/** The revocation that was asked for cannot be made. The message says why. */
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

/** As many revocations are in force as there may be. Every gateway keeps all of them in memory. */
export class TooManyRevocationsError extends Error {
  override readonly name = 'TooManyRevocationsError';
  readonly code = 'too_many_revocations';
  readonly status = 409;
}
