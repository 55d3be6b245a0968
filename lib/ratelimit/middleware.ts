import type { Request, RequestHandler, Response } from 'express';
import { nextWhileDue } from '../exchange/exchange.ts';
import { writerOf } from '../response/responseWriter.ts';
import { listener } from '../util/listener.ts';
import { stackless } from '../util/stackless.ts';
import { RateLimitError } from './errors.ts';
import type { RateCounter, Verdict } from './rateLimit.ts';

export interface RateLimitMiddlewareOptions {
  readonly limit: RateCounter;
  /** The key for which a request is counted; a request without one passes uncounted. */
  readonly keyOf: (req: Request, res: Response) => string | undefined;
  readonly onLimited?: () => void;
}

/**
 * Admits as many requests for each key as `limit` allows in its time and refuses the others with `RateLimitError`.
 *
 * Every response says where its client stands, in `RateLimit-Policy` and `RateLimit`
 * (draft-ietf-httpapi-ratelimit-headers-10): lists, to which each of several such middlewares in a row adds a line. They
 * take the place of the service's own, which say where the gateway stands.
 */
export function rateLimit({
  limit,
  keyOf,
  ...options
}: Readonly<RateLimitMiddlewareOptions>): RequestHandler {
  const { policy, rate } = limit;
  const onLimited = listener(options.onLimited);
  const terms = `"${policy}";q=${rate.requests};w=${rate.windowMs / 1000}`;

  function tell(res: Response, { remaining, resetMs }: Verdict): void {
    if (res.headersSent) return;
    const writer = writerOf(res);
    const standing = `"${policy}";r=${remaining};t=${Math.ceil(resetMs / 1000)}`;
    if (writer.hasField('RateLimit')) {
      writer.add('RateLimit-Policy', terms);
      writer.add('RateLimit', standing);
    } else {
      writer.replace('RateLimit-Policy', terms);
      writer.replace('RateLimit', standing);
    }
  }

  return function rateLimitMiddleware(req, res, next) {
    const key = keyOf(req, res);
    if (key === undefined) return next();
    const nextIfDue = nextWhileDue(res, next);
    limit.take(key).then((verdict) => {
      tell(res, verdict);
      if (verdict.admitted) return nextIfDue();
      onLimited();
      nextIfDue(stackless(() => new RateLimitError(policy, verdict.resetMs)));
    }, nextIfDue);
  };
}
