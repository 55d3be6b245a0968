/** The answer's first byte did not come before the request's deadline. */
export class RequestTimeoutError extends Error {
  override readonly name = 'RequestTimeoutError';
  readonly code = 'request_timeout';
  readonly status = 504;

  constructor(timeoutMs: number) {
    super(`no answer began within ${timeoutMs} ms`);
  }
}
