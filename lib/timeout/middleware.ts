import type { RequestHandler } from 'express';
import { type Clock, systemClock } from '../clock/clock.ts';
import { exchangeOf } from '../exchange/exchange.ts';
import { RequestTimeoutError } from './errors.ts';

/** setTimeout's own limit: a longer delay would fire at once. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

export interface TimeoutOptions {
  /** Time from the request's arrival to the first byte of its answer, 1..2147483647. */
  readonly timeoutMs: number;
  /** Lets an incoming `X-Request-Timeout-Ms` shorten the deadline, never lengthen it. Default false. */
  readonly acceptCallersDeadline?: boolean;
  /** Called once for each request that ran out of time. */
  readonly onTimeout?: () => void;
  readonly clock?: Clock;
}

/**
 * Bounds the time until an answer begins: past it the request is aborted and `RequestTimeoutError` goes to
 * `next`. It does not bound how long an answer that has begun may flow.
 */
export function timeout({
  timeoutMs,
  acceptCallersDeadline = false,
  onTimeout = () => {},
  clock = systemClock,
}: Readonly<TimeoutOptions>): RequestHandler {
  if (!Number.isInteger(timeoutMs) || timeoutMs < 1 || timeoutMs > MAX_TIMEOUT_MS) {
    throw new RangeError(`timeout: timeoutMs must be a whole number 1..${MAX_TIMEOUT_MS}, got ${timeoutMs}`);
  }

  return function timeoutMiddleware(req, res, next) {
    const exchange = exchangeOf(res);
    const budgetMs = acceptCallersDeadline
      ? shorterOf(timeoutMs, req.headers['x-request-timeout-ms'])
      : timeoutMs;
    exchange.deadlineAtMs = clock.now() + budgetMs;
    const cancel = clock.after(budgetMs, () => {
      if (res.headersSent || exchange.upgraded) return;
      const error = new RequestTimeoutError(budgetMs);
      onTimeout();
      exchange.abort(error);
      next(error);
    });
    res.once('close', cancel);
    next();
  };
}

function shorterOf(timeoutMs: number, field: string | string[] | undefined): number {
  const asked = typeof field === 'string' && /^\d{1,10}$/.test(field) ? Number(field) : timeoutMs;
  return Math.max(1, Math.min(asked, timeoutMs));
}
