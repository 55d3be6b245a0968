export type TokenProblem = 'token_missing' | 'token_invalid' | 'token_expired' | 'token_revoked';

/** The request does not carry a token that is accepted now. `code` says what is wrong with it. */
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
