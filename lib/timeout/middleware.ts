import type { RequestHandler } from 'express';
import { type Clock, systemClock } from '../clock/clock.ts';
import { exchangeOf } from '../exchange/exchange.ts';
import { listener } from '../util/listener.ts';
import { assertWhole } from './assertWhole.ts';
import { Deadlines } from './deadlines.ts';
import { type DeadlineTerms, RequestDeadline } from './requestDeadline.ts';

export interface TimeoutOptions {
  /** Time from the end of the request's content to the first byte of its response, in milliseconds, 1..2147483647. */
  readonly timeoutMs: number;
  /** Time over which `minUploadRate` is measured, in milliseconds, 1..2147483647. Default: `timeoutMs`. */
  readonly bodyTimeoutMs?: number;
  /** Lowest rate at which content must arrive, in bytes a second. 0, the default: a single byte is enough. */
  readonly minUploadRate?: number;
  /** Lets an incoming `X-Request-Timeout-Ms` shorten the deadline, never lengthen it. Default false. */
  readonly acceptCallersDeadline?: boolean;
  /** Called once for each request that ran out of time, unless it was its own content that stalled. */
  readonly onTimeout?: () => void;
  readonly clock?: Clock;
}

/**
 * Bounds the time until the response begins. After `timeoutMs` the request is aborted and `RequestTimeoutError` goes to
 * `next`. A response that has begun may take as long as it likes.
 *
 * The time runs from the moment at which the whole request has arrived, so an upload that flows is never aborted. When
 * content arrives more slowly than `minUploadRate` for a whole `bodyTimeoutMs`, `UploadStalledError` goes to `next`. That is
 * checked every `timeoutMs`, so it may take that much longer. When it is the service that stops reading, the error is
 * `RequestTimeoutError`.
 */
export function timeout(options: Readonly<TimeoutOptions>): RequestHandler {
  const { timeoutMs, acceptCallersDeadline = false, clock = systemClock } = options;
  const { bodyTimeoutMs = timeoutMs, minUploadRate = 0 } = options;
  const onTimeout = listener(options.onTimeout);
  assertWhole('timeout: timeoutMs', timeoutMs);
  assertWhole('timeout: bodyTimeoutMs', bodyTimeoutMs);
  assertWhole('timeout: minUploadRate', minUploadRate, 0);

  const terms: DeadlineTerms = {
    timeoutMs,
    bodyTimeoutMs,
    minUploadRate,
    onTimeout,
    clock,
    deadlines: new Deadlines(timeoutMs, clock),
  };

  return function timeoutMiddleware(req, res, next) {
    const budgetMs = acceptCallersDeadline
      ? shorterOf(timeoutMs, req.headers['x-request-timeout-ms'])
      : timeoutMs;
    const deadline = new RequestDeadline(terms, req, res, { budgetMs, next });
    exchangeOf(res).onClose(() => deadline.cancel());
    deadline.begin();
    next();
  };
}

function shorterOf(timeoutMs: number, field: string | string[] | undefined): number {
  const asked = typeof field === 'string' && /^\d{1,10}$/.test(field) ? Number(field) : timeoutMs;
  return Math.max(1, Math.min(asked, timeoutMs));
}
