/** The breaker is open: the replica is not called. */
export class CircuitOpenError extends Error {
  override readonly name = 'CircuitOpenError';
  readonly code = 'circuit_open';
  readonly status = 503;
  /** Until the next trial. */
  readonly retryAfterMs: number;
  /** Whether the replica had been chosen for the request by then: another one may be chosen. */
  readonly afterChoice: boolean;

  constructor(retryAfterMs: number, afterChoice = false) {
    super('Circuit breaker is open');
    this.retryAfterMs = retryAfterMs;
    this.afterChoice = afterChoice;
  }
}
