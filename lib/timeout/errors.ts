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

/** The request's content stopped, or came too slowly. That is the client's fault and says nothing about the service. */
export class UploadStalledError extends Error {
  override readonly name = 'UploadStalledError';
  readonly code = 'upload_stalled';
  readonly status = 408;

  constructor(windowMs: number) {
    super(`the request's content came too slowly for ${windowMs} ms`);
  }
}
