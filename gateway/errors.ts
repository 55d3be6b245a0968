import type { ErrorRequestHandler, Response } from 'express';
import { AdminTokenError } from '../lib/admin/errors.ts';
import { InsufficientScopeError, TokenError } from '../lib/auth/errors.ts';
import { exchangeOf } from '../lib/exchange/exchange.ts';
import { writerOf } from '../lib/response/responseWriter.ts';

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

/** A reply that the gateway makes itself, instead of passing on a service's response. */
export interface Reply {
  readonly status: number;
  readonly title: string;
  /** What the client can do about it. */
  readonly detail: string;
  /** The proxy error type of RFC 9209 section 2.3. */
  readonly proxyError: string;
}

/** Every reply of the gateway's own, by the error's `code`. Status and wording are decided here and nowhere else. */
export const REPLIES = {
  bad_request: reply(
    400,
    'Bad request',
    'The request is not valid HTTP or its path is ambiguous.',
    'http_request_error',
  ),
  tls_required: reply(
    400,
    'TLS required',
    'This port speaks TLS only. Ask with https://.',
    'http_request_error',
  ),
  token_missing: reply(401, 'Token missing', 'Send Authorization: Bearer <token>.', 'http_request_denied'),
  token_invalid: reply(401, 'Token invalid', 'Log in again to get a valid token.', 'http_request_denied'),
  token_expired: reply(401, 'Token expired', 'Log in again to get a new token.', 'http_request_denied'),
  token_revoked: reply(401, 'Token revoked', 'Log in again to get a new token.', 'http_request_denied'),
  insufficient_scope: reply(
    403,
    'Insufficient scope',
    'The token is good and does not allow this. Ask for one with the role or scope that it takes.',
    'http_request_denied',
  ),
  admin_token_wrong: reply(
    401,
    'Admin token wrong',
    'Send Authorization: Bearer <ADMIN_TOKEN>.',
    'http_request_denied',
  ),
  admin_guesses_limited: reply(
    429,
    'Too many wrong admin tokens',
    'No token from this address is looked at before Retry-After is over.',
    'http_request_denied',
  ),
  bad_revocation: reply(
    400,
    'Bad revocation',
    'Send JSON with a valid token, a jti, or a subject and perhaps issuedBefore, an ISO 8601 time.',
    'http_request_error',
  ),
  cross_site: reply(
    403,
    'Cross-site request',
    'The internal port is for services, not for pages of other sites.',
    'http_request_denied',
  ),
  foreign_host: reply(
    403,
    'Foreign host',
    'Browsers may call the internal port by an address, a name without dots, or one of INTERNAL_NAMES.',
    'http_request_denied',
  ),
  origin_not_allowed: reply(
    403,
    'Origin not allowed',
    'Pages of this origin may not open WebSockets or change anything here with cookies.',
    'http_request_denied',
  ),
  address_refused: reply(
    403,
    'Address refused',
    'Clients of this address may not come here.',
    'http_request_denied',
  ),
  no_such_revocation: reply(
    404,
    'No such revocation',
    'GET /admin/revocations lists those in force.',
    'http_request_error',
  ),
  too_many_revocations: reply(
    409,
    'Too many revocations',
    'Undo some, or revoke by subject.',
    'http_request_error',
  ),
  no_such_service: reply(
    404,
    'No such service',
    'No service or route is for this path.',
    'destination_not_found',
  ),
  method_not_allowed: reply(
    405,
    'Method not allowed',
    'The path does not take this method. Allow lists those that it does.',
    'http_request_denied',
  ),
  upload_stalled: reply(
    408,
    'Upload stalled',
    'The content of the request stopped or came too slowly. Send it again.',
    'http_request_error',
  ),
  body_too_large: reply(413, 'Body too large', 'Send less content.', 'http_request_error'),
  uri_too_long: reply(414, 'URI too long', 'Send a shorter request target.', 'http_request_error'),
  headers_too_large: reply(
    431,
    'Headers too large',
    'Send fewer or shorter fields, such as fewer cookies.',
    'http_request_error',
  ),
  service_busy: reply(
    429,
    'Service busy',
    'The service is at its concurrency limit. Try again.',
    'connection_limit_reached',
  ),
  gateway_busy: reply(
    429,
    'Gateway busy',
    'The gateway is at its concurrency limit. Try again.',
    'connection_limit_reached',
  ),
  streams_busy: reply(
    429,
    'Too many streams',
    'As many streams are open as the service or the gateway allows. Try again later.',
    'connection_limit_reached',
  ),
  upgrades_busy: reply(
    429,
    'Too many WebSockets',
    'As many WebSockets are open as the gateway allows. Try again later.',
    'connection_limit_reached',
  ),
  fair_share_used: reply(
    429,
    'Your share is in use',
    'You hold as much of a limit as one caller may while others ask. Wait for some of your requests to end.',
    'connection_limit_reached',
  ),
  rate_limited: reply(
    429,
    'Too many requests',
    'You have made as many requests as you may in this time. Retry-After says when to go on.',
    'http_request_denied',
  ),
  method_not_implemented: reply(
    501,
    'Method not implemented',
    'The gateway does not know this method. Methods are case-sensitive.',
    'proxy_internal_response',
  ),
  upstream_unreachable: reply(
    502,
    'Service unreachable',
    'The service could not be reached.',
    'destination_unavailable',
  ),
  upstream_bad_response: reply(
    502,
    'Bad response from service',
    'The service sent a broken response.',
    'http_protocol_error',
  ),
  upstream_head_too_large: reply(
    502,
    'Response head too large',
    'The fields of the response are larger than the gateway passes on.',
    'http_response_header_section_size',
  ),
  circuit_open: reply(
    503,
    'Circuit breaker is open',
    'The service keeps failing. Try again later.',
    'destination_unavailable',
  ),
  no_healthy_replica: reply(
    503,
    'No healthy replica',
    'No replica of the service is up. Try again later.',
    'destination_unavailable',
  ),
  store_unavailable: reply(
    503,
    'Store unavailable',
    'The token could not be checked or revoked. Try again.',
    'proxy_internal_error',
  ),
  keys_unavailable: reply(
    503,
    'Keys unavailable',
    'The keys that tokens are checked with are not known yet. Try again.',
    'proxy_internal_error',
  ),
  gateway_exhausted: reply(
    503,
    'Gateway exhausted',
    'The gateway has no connection left for this request. Try again.',
    'proxy_internal_error',
  ),
  draining: reply(
    503,
    'Gateway is shutting down',
    'Try again: another gateway will take the request.',
    'proxy_internal_error',
  ),
  not_cached: reply(
    504,
    'Not in the cache',
    'only-if-cached was asked for, and nothing that is stored will do.',
    'proxy_internal_response',
  ),
  request_timeout: reply(
    504,
    'Request timeout',
    'The service did not respond in time.',
    'http_response_timeout',
  ),
  internal_error: reply(
    500,
    'Internal error',
    'The gateway failed. The request id names the log line.',
    'proxy_internal_error',
  ),
} as const satisfies Record<string, Reply>;

export type ReplyCode = keyof typeof REPLIES;

/** The parts of a reply that are the same each time, made once. */
interface Prepared {
  /** Header fields: name, value, name, value. */
  readonly fields: readonly string[];
  /** The content before the request's id, and after it. */
  readonly before: string;
  readonly after: string;
}

const PREPARED = new Map(
  Object.entries(REPLIES).map(([code, said]) => [code as ReplyCode, prepared(code, said)]),
);

/** The content of a reply: problem details (RFC 9457). */
export function problem(code: ReplyCode, requestId: string): string {
  const { before, after } = preparedFor(code);
  return before + JSON.stringify(requestId) + after;
}

export interface ErrorRepliesOptions {
  readonly onReply?: (code: ReplyCode, res: Response) => void;
  /** Called for an error that has no reply in the table. */
  readonly onUnexpected: (error: unknown, res: Response) => void;
  /** Whether replies without a `Cache-Status` field get one (RFC 9211). Default false. */
  readonly hasCache?: boolean;
}

/** The last handler of an app: turns an error into its reply. No message, stack or host name leaves the process. */
export function errorReplies({
  onReply = () => {},
  onUnexpected,
  hasCache = false,
}: Readonly<ErrorRepliesOptions>): ErrorRequestHandler {
  return function errorRepliesMiddleware(error: unknown, _req, res, _next) {
    const code = codeOf(error);
    if (code === 'internal_error') onUnexpected(error, res);
    // It is too late for a reply. A response that has begun is cut off, so that the client cannot take it for whole.
    if (res.headersSent || res.closed) {
      if (!res.writableEnded) res.destroy();
      return;
    }
    const exchange = exchangeOf(res);
    exchange.errorCode = code;
    exchange.origin = 'gateway';
    exchange.failure = Error.isError(error) ? error : undefined;
    onReply(code, res);
    const says = hasCache && !writerOf(res).hasField('Cache-Status');
    sendProblem(res, code, error, says ? ['Cache-Status', `gateway; detail=${code}`] : []);
  };
}

function sendProblem(res: Response, code: ReplyCode, error: unknown, more: readonly string[]): void {
  const { status } = REPLIES[code];
  const body = problem(code, exchangeOf(res).requestId);
  const fields = [...preparedFor(code).fields, ...more];
  if (status === 429 || status === 503) fields.push('Retry-After', String(retryAfterSeconds(error)));
  // Nobody can tell where the next request would begin (RFC 9110 section 15.5.9).
  if (status === 408) res.shouldKeepAlive = false;
  if (error instanceof MethodNotAllowedError) fields.push('Allow', error.allow);
  const challenge = challengeOf(error);
  if (challenge) fields.push('WWW-Authenticate', challenge);
  fields.push('Content-Length', String(Buffer.byteLength(body)));
  writerOf(res).whole(status, fields, body);
}

function prepared(code: string, { status, title, detail, proxyError }: Reply): Prepared {
  const type = `urn:faf-cab-gateway:problem:${code}`;
  const before = JSON.stringify({ type, title, status, detail, code });
  // Clients of the original gateway read `error`.
  const after = JSON.stringify({ error: title });
  return {
    fields: [
      'Content-Type',
      'application/problem+json',
      'Proxy-Status',
      `gateway; error=${proxyError}; details="${code}"`,
      'Cache-Control',
      'no-store',
    ],
    before: `${before.slice(0, -1)},"requestId":`,
    after: `,${after.slice(1)}`,
  };
}

function preparedFor(code: ReplyCode): Prepared {
  return PREPARED.get(code) as Prepared;
}

function reply(status: number, title: string, detail: string, proxyError: string): Reply {
  return { status, title, detail, proxyError };
}

/** Which reply an error gets. */
export function codeOf(error: unknown): ReplyCode {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  return PREPARED.has(code as ReplyCode) ? (code as ReplyCode) : 'internal_error';
}

function challengeOf(error: unknown): string | undefined {
  const challenges =
    error instanceof TokenError ||
    error instanceof InsufficientScopeError ||
    error instanceof AdminTokenError;
  return challenges ? error.challenge : undefined;
}

/** In whole seconds, rounded up: 500 ms must not become 0, which means at once. */
function retryAfterSeconds(error: unknown): number {
  const afterMs =
    typeof error === 'object' && error !== null && 'retryAfterMs' in error ? Number(error.retryAfterMs) : 0;
  return Math.max(1, Math.ceil(afterMs / 1000));
}
