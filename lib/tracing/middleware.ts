import type { Request, RequestHandler } from 'express';
import { exchangeOf } from '../exchange/exchange.ts';
import type { Spans } from './spans.ts';
import { readTrace, traceStarter } from './traceContext.ts';

export interface TraceOptions {
  /** Whether a request's trace context is trusted. Default: none is. */
  readonly trusts?: (req: Request) => boolean;
  /** Records requests. Default: they are not recorded. */
  readonly spans?: Spans | undefined;
}

/**
 * Continues the trace of the request's `traceparent`, or begins one (W3C Trace Context). Without a recorder a trace is only
 * begun when a service is called, and a trace context is passed on unchanged, because a span that is not recorded must not be
 * a parent.
 */
export function trace(options: Readonly<TraceOptions>): RequestHandler {
  const { trusts = () => false, spans } = options;
  const beginTrace = traceStarter();

  return function traceMiddleware(req, res, next) {
    const { traceparent, tracestate } = req.headers;
    const given = traceparent !== undefined && trusts(req) ? readTrace(traceparent, tracestate) : undefined;
    const exchange = exchangeOf(res);
    if (spans) {
      spans.begin(req, res, given);
    } else {
      exchange.trace = given;
      // Not begun yet: responses from the cache and refusals need no trace, and random ids take 2 us.
      exchange.beginTrace = beginTrace;
    }
    next();
  };
}
