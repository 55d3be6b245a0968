/** The answer's first byte did not come before the request's deadline. */
export class RequestTimeoutError extends Error {
  override readonly name = 'RequestTimeoutError';
  readonly code = 'request_timeout';
  readonly status = 504;

  /** The caller had less time than the service may take: that says nothing about the service. */
  readonly callersOwn: boolean;

  constructor(timeoutMs: number, callersOwn = false) {
    super(`no answer began within ${timeoutMs} ms`);
    this.callersOwn = callersOwn;
  }
}
