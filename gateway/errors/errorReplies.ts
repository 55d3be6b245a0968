import type { ErrorRequestHandler, Response } from 'express';
import { AdminTokenError } from '../../lib/admin/errors.ts';
import { ApiKeyError } from '../../lib/apikeys/errors.ts';
import { InsufficientScopeError, TokenError } from '../../lib/auth/errors.ts';
import { exchangeOf } from '../../lib/exchange/exchange.ts';
import { writerOf } from '../../lib/response/responseWriter.ts';
import { codeOf } from './codeOf.ts';
import { problem, problemFields } from './problem.ts';
import { REPLIES, type ReplyCode } from './replies/replies.ts';
import { MethodNotAllowedError } from './requestErrors.ts';

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
  const fields = [...problemFields(code), ...more];
  if (status === 429 || status === 503) fields.push('Retry-After', String(retryAfterSeconds(error)));
  // Nobody can tell where the next request would begin (RFC 9110 section 15.5.9).
  if (status === 408) res.shouldKeepAlive = false;
  if (error instanceof MethodNotAllowedError) fields.push('Allow', error.allow);
  const challenge = challengeOf(error);
  if (challenge) fields.push('WWW-Authenticate', challenge);
  fields.push('Content-Length', String(Buffer.byteLength(body)));
  writerOf(res).whole(status, fields, body);
}

function challengeOf(error: unknown): string | undefined {
  const challenges =
    error instanceof TokenError ||
    error instanceof ApiKeyError ||
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
