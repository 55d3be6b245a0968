/** The key has already made as many requests as the policy allows in its window. */
export class RateLimitError extends Error {
  override readonly name = 'RateLimitError';
  readonly code = 'rate_limited';
  readonly status = 429;
  /** Until the next request is admitted. */
  readonly retryAfterMs: number;

  constructor(policy: string, retryAfterMs: number) {
    super(`the rate limit "${policy}" is reached`);
    this.retryAfterMs = retryAfterMs;
  }
}
