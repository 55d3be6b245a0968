/** What is wrong with a response. */
export type BrokenResponseCode =
  | 'bad_status_line'
  | 'bad_field'
  | 'bad_framing'
  | 'bad_chunk'
  | 'head_too_large'
  /** An interim response (1xx) that nobody asked for, or too many of them. */
  | 'unexpected_response'
  /** The connection was closed before the end of the response's content. */
  | 'cut_short';

/** The bytes that arrived are not a valid response (RFC 9112). The connection is not read any more. */
export class BrokenResponseError extends Error {
  override readonly name: string = 'BrokenResponseError';
  readonly code: BrokenResponseCode;
  /** Whether the response exceeds a limit of ours, and does not break a rule of HTTP. */
  readonly isOurLimit: boolean;

  constructor(code: BrokenResponseCode, message: string, { isOurLimit = false } = {}) {
    super(message);
    this.code = code;
    this.isOurLimit = isOurLimit;
  }
}

/** The head of a response, or its trailer section, is larger than allowed. The origin may be healthy. */
export class ResponseHeadTooLargeError extends BrokenResponseError {
  override readonly name = 'ResponseHeadTooLargeError';

  constructor(what: string) {
    super('head_too_large', what);
  }
}

/** The request cannot be written without changing its meaning. Nothing of it was sent. */
export class InvalidRequestError extends Error {
  override readonly name = 'InvalidRequestError';
  readonly code = 'invalid_request';
}

/** The request's content did not match its Content-Length, or broke off. The connection is closed. */
export class RequestContentError extends Error {
  override readonly name = 'RequestContentError';
  readonly code = 'request_content';
}

/** No connection came about in time. */
export class ConnectTimeoutError extends Error {
  override readonly name = 'ConnectTimeoutError';
  readonly code = 'connect_timeout';

  constructor(host: string, timeoutMs: number) {
    super(`no connection to ${host} within ${timeoutMs} ms`);
  }
}

/** No connection came about: it was refused, unreachable, the name does not exist, or the TLS handshake failed. */
export class NotConnectedError extends Error {
  override readonly name: string = 'NotConnectedError';
  /** Node's code: `ECONNREFUSED`, `EHOSTUNREACH`, `ENOTFOUND`. */
  readonly code: string;

  constructor(cause: NodeJS.ErrnoException, message = cause.message) {
    super(message, { cause });
    this.code = cause.code ?? 'not_connected';
  }
}

/** The connection ended during a request: before the head of its response, or by a reset during its content. */
export class ConnectionLostError extends Error {
  override readonly name = 'ConnectionLostError';
  /** Node's code (`ECONNRESET`, `EPIPE`), or `connection_closed` when the other side closed it properly. */
  readonly code: string;
  /** Whether it had served a request before. Then the origin may have closed it as idle (RFC 9112 section 9.3.1). */
  readonly kept: boolean;

  constructor(kept: boolean, cause?: NodeJS.ErrnoException) {
    super(cause ? cause.message : 'the connection was closed', { cause });
    this.code = cause?.code ?? 'connection_closed';
    this.kept = kept;
  }
}

/** The pool was destroyed, with all its requests. */
export class PoolDestroyedError extends Error {
  override readonly name = 'PoolDestroyedError';
  readonly code = 'pool_destroyed';

  constructor() {
    super('the connections were destroyed');
  }
}
