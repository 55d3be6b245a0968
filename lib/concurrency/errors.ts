/** As many requests as allowed are under way already. `scope` tells whose limit was reached. */
export class ConcurrencyLimitError extends Error {
  override readonly name = 'ConcurrencyLimitError';
  readonly code: 'service_busy' | 'gateway_busy';
  readonly status = 429;
  readonly retryAfterMs = 1000;

  constructor(scope: 'service' | 'gateway', limit: number) {
    super(`the ${scope} is already at its limit of ${limit} concurrent requests`);
    this.code = `${scope}_busy`;
  }
}
