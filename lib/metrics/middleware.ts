import type { IncomingMessage } from 'node:http';
import type { RequestHandler } from 'express';
import { type Clock, systemClock } from '../clock/clock.ts';
import { type Exchange, exchangeOf } from '../exchange/exchange.ts';
import { Phases } from '../exchange/phases.ts';
import { writerOf } from '../response/responseWriter.ts';
import { listener } from '../util/listener.ts';

/** One request, after its response is over. */
export interface Completed {
  readonly method: string;
  /** The request target as the client sent it. */
  readonly target: string;
  /** 0 when the client left before a response began. */
  readonly status: number;
  readonly seconds: number;
  readonly exchange: Exchange;
}

export interface ObserveOptions {
  readonly onCompleted: (completed: Completed) => void;
  /** Which incoming `X-Request-Id` to keep; the default keeps none. */
  readonly keepsRequestId?: (requestId: string, req: IncomingMessage) => boolean;
  readonly clock?: Clock;
}

/** Gives the request an id, tells the client in `X-Request-Id`, and reports the request once it is over. */
export function observe(options: Readonly<ObserveOptions>): RequestHandler {
  const { keepsRequestId = () => false, clock = systemClock } = options;
  const onCompleted = listener(options.onCompleted);

  return function observeMiddleware(req, res, next) {
    const exchange = exchangeOf(res);
    const phases = new Phases(clock);
    exchange.phases = phases;
    const given = req.headers['x-request-id'];
    if (typeof given === 'string' && keepsRequestId(given, req)) exchange.requestId = given;
    writerOf(res).add('X-Request-Id', exchange.requestId);
    exchange.onClose(() => {
      onCompleted({
        method: req.method,
        target: req.originalUrl,
        status: res.headersSent || exchange.upgraded ? res.statusCode : 0,
        seconds: phases.read() / 1000,
        exchange,
      });
    });
    next();
  };
}
