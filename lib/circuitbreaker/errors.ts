/** The breaker is open: the replica is not called. */
export class CircuitOpenError extends Error {
  override readonly name = 'CircuitOpenError';
  readonly code = 'circuit_open';
  readonly status = 503;
  /** Until the next trial. */
  readonly retryAfterMs: number;

  constructor(retryAfterMs: number) {
    super('Circuit breaker is open');
    this.retryAfterMs = retryAfterMs;
  }
}
