/** `Allow` of every reply about methods. Other methods are forwarded as well, as long as Node can parse them. */
export const ALLOWED_METHODS = 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS';

/** No service or route is for the path. */
export class NoSuchServiceError extends Error {
  override readonly name = 'NoSuchServiceError';
  readonly code = 'no_such_service';
  readonly status = 404;
}

/** The request target can be read in more than one way, or not at all. */
export class BadTargetError extends Error {
  override readonly name = 'BadTargetError';
  readonly code = 'bad_request';
  readonly status = 400;
}

/** TRACE and CONNECT are not forwarded, and no route is for the path with this method. */
export class MethodNotAllowedError extends Error {
  override readonly name = 'MethodNotAllowedError';
  readonly code = 'method_not_allowed';
  readonly status = 405;
  /** The value of `Allow`. */
  readonly allow: string;

  /** @param allowed the methods that the path may be asked with; default: all that are forwarded */
  constructor(message: string, allowed?: readonly string[]) {
    super(message);
    this.allow = allowed?.join(', ') ?? ALLOWED_METHODS;
  }
}

/** The request's content contradicts its framing (RFC 9112 section 6). */
export class BrokenRequestError extends Error {
  override readonly name = 'BrokenRequestError';
  readonly code = 'bad_request';
  readonly status = 400;
}

/** The request target is longer than the gateway accepts. */
export class UriTooLongError extends Error {
  override readonly name = 'UriTooLongError';
  readonly code = 'uri_too_long';
  readonly status = 414;
}
