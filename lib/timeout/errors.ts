/** The response did not begin before the request's deadline. */
export class RequestTimeoutError extends Error {
  override readonly name = 'RequestTimeoutError';
  readonly code = 'request_timeout';
  readonly status = 504;

  /** Whether the caller's own deadline was shorter than the service's. It then says nothing about the service. */
  readonly callersOwn: boolean;

  constructor(timeoutMs: number, callersOwn = false) {
    super(`no response began within ${timeoutMs} ms`);
    this.callersOwn = callersOwn;
  }
}

/** The request's content stopped arriving, or arrived too slowly. It says nothing about the service. */
export class UploadStalledError extends Error {
  override readonly name = 'UploadStalledError';
  readonly code = 'upload_stalled';
  readonly status = 408;

  constructor(windowMs: number) {
    super(`the request's content came too slowly for ${windowMs} ms`);
  }
}
