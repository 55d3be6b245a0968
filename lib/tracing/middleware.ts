import type { Request, RequestHandler } from 'express';
import { exchangeOf } from '../exchange/exchange.ts';
import type { Spans } from './spans.ts';
import { readTrace, traceStarter } from './traceContext.ts';

export interface TraceOptions {
  /** Whether the sender's word about the trace is believed. Default: nobody's. */
  readonly trusts?: (req: Request) => boolean;
  /** What records the request; none when left out. */
  readonly spans?: Spans | undefined;
}

/**
 * Continues the trace that the request names in `traceparent`, or begins one (W3C Trace Context): without a recorder only
 * once a service is called. Without a recorder a trace is passed on as it came: a span that nobody records must not be
 * anybody's parent.
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
      // A response from the cache and a refusal are part of nobody's trace, and random ids take 2 us.
      exchange.beginTrace = beginTrace;
    }
    next();
  };
}
