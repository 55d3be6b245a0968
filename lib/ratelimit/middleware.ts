import type { Request, RequestHandler, Response } from 'express';
import { nextWhileDue } from '../exchange/exchange.ts';
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
 * (draft-ietf-httpapi-ratelimit-headers-10). Several of these middlewares in a row share the two fields.
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
    append(res, 'RateLimit-Policy', terms);
    append(res, 'RateLimit', `"${policy}";r=${remaining};t=${Math.ceil(resetMs / 1000)}`);
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

function append(res: Response, name: string, item: string): void {
  const before = res.getHeader(name);
  res.setHeader(name, before === undefined ? item : `${before}, ${item}`);
}
