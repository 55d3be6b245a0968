/** The request does not carry the admin token. */
export class AdminTokenError extends Error {
  override readonly name = 'AdminTokenError';
  readonly code = 'admin_token_wrong';
  readonly status = 401;
  readonly challenge = 'Bearer realm="admin"';
}

/** Too many wrong tokens came from this address: what it sends now is not even compared. */
export class AdminGuessesError extends Error {
  override readonly name = 'AdminGuessesError';
  readonly code = 'admin_guesses_limited';
  readonly status = 429;
  /** Until the next token is compared. */
  readonly retryAfterMs: number;

  constructor(retryAfterMs: number) {
    super('too many wrong admin tokens from this address');
    this.retryAfterMs = retryAfterMs;
  }
}
