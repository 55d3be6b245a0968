/** What an answer did wrong. */
export type BrokenAnswerCode =
  | 'bad_status_line'
  | 'bad_field'
  | 'bad_framing'
  | 'bad_chunk'
  | 'head_too_large'
  /** An interim answer (1xx) that nobody asked for, or too many of them. */
  | 'unexpected_response'
  /** The connection was closed before the end of the answer's content. */
  | 'cut_short';

/** What came is no answer by RFC 9112. Nothing more is read from that connection. */
export class BrokenResponseError extends Error {
  override readonly name: string = 'BrokenResponseError';
  readonly code: BrokenAnswerCode;
  /** Whether it breaks a limit of ours rather than a rule of HTTP. */
  readonly isOurLimit: boolean;

  constructor(code: BrokenAnswerCode, message: string, { isOurLimit = false } = {}) {
    super(message);
    this.code = code;
    this.isOurLimit = isOurLimit;
  }
}

/** The head of a response, or its trailer section, is larger than the receiver allows. The origin may be quite well. */
export class ResponseHeadTooLargeError extends BrokenResponseError {
  override readonly name = 'ResponseHeadTooLargeError';

  constructor(what: string) {
    super('head_too_large', what);
  }
}

/** The request cannot be written without saying something else than it means. Nothing of it was sent. */
export class InvalidRequestError extends Error {
  override readonly name = 'InvalidRequestError';
  readonly code = 'invalid_request';
}

/** The request's content was not as long as its Content-Length, or ended without an end. The connection is cut. */
export class RequestContentError extends Error {
  override readonly name = 'RequestContentError';
  readonly code = 'request_content';
}

/** No connection within the time there was for it. */
export class ConnectTimeoutError extends Error {
  override readonly name = 'ConnectTimeoutError';
  readonly code = 'connect_timeout';

  constructor(host: string, timeoutMs: number) {
    super(`no connection to ${host} within ${timeoutMs} ms`);
  }
}

/** There was never a connection: refused, unreachable, no such name, a TLS handshake that failed. */
export class NotConnectedError extends Error {
  override readonly name = 'NotConnectedError';
  /** Node's: `ECONNREFUSED`, `EHOSTUNREACH`, `ENOTFOUND`. */
  readonly code: string;

  constructor(cause: NodeJS.ErrnoException) {
    super(cause.message, { cause });
    this.code = cause.code ?? 'not_connected';
  }
}

/** The connection ended under a request, before its answer had a head or by a reset within its content. */
export class ConnectionLostError extends Error {
  override readonly name = 'ConnectionLostError';
  /** Node's (`ECONNRESET`, `EPIPE`), or `connection_closed`: the other side closed it in good order. */
  readonly code: string;
  /** Whether it had carried a whole answer before: then it may have been closed as idle (RFC 9112 section 9.3.1). */
  readonly kept: boolean;

  constructor(kept: boolean, cause?: NodeJS.ErrnoException) {
    super(cause ? cause.message : 'the connection was closed', { cause });
    this.code = cause?.code ?? 'connection_closed';
    this.kept = kept;
  }
}

/** The pool was destroyed, and every request with it. */
export class PoolDestroyedError extends Error {
  override readonly name = 'PoolDestroyedError';
  readonly code = 'pool_destroyed';

  constructor() {
    super('the connections were destroyed');
  }
}
