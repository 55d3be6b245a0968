import type { NextFunction, RequestHandler } from 'express';
import { type Exchange, exchangeOf } from '../lib/exchange/exchange.ts';

/**
 * One handler that runs `stages` in listed order. What the first of them reports as an error ends the run; whatever
 * a stage says after that, or after the exchange was aborted, is dropped.
 */
export function compose(stages: readonly RequestHandler[]): RequestHandler {
  return function chain(req, res, done) {
    const exchange = exchangeOf(res);
    let over = false;

    function finish(error?: unknown): void {
      if (over) return;
      over = true;
      done(error);
    }

    function goOn(index: number): void {
      if (over) return;
      if (exchange.abortReason) interrupted(exchange, finish);
      else run(index);
    }

    function run(index: number): void {
      const stage = stages[index];
      if (!stage) {
        finish();
        return;
      }
      const next = (error?: unknown) => (error ? finish(error) : goOn(index + 1));
      try {
        const result: unknown = stage(req, res, next as NextFunction);
        if (result instanceof Promise) result.catch(finish);
      } catch (error) {
        finish(error);
      }
    }

    run(0);
  };
}

/** Aborted between two stages: nobody else has seen it, unless the one who aborted replies as well. */
function interrupted({ abortReason, replySettled }: Exchange, finish: (error: unknown) => void): void {
  if (!replySettled) finish(abortReason);
}
