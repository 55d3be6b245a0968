/** A bucket has no room for the request. */
export class RateLimitError extends Error {
  override readonly name = 'RateLimitError';
  readonly code = 'rate_limited';
  readonly status = 429;
  /** The name of the limit that is reached. */
  readonly policy: string;
  /** Until the next request is admitted. */
  readonly retryAfterMs: number;

  constructor(policy: string, retryAfterMs: number) {
    super(`the rate limit "${policy}" is reached`);
    this.policy = policy;
    this.retryAfterMs = retryAfterMs;
  }
}
