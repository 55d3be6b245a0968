import type { NextFunction, RequestHandler } from 'express';
import { type Exchange, exchangeOf } from '../lib/exchange/exchange.ts';

/**
 * One handler that runs `stages` in listed order. What the first of them reports as an error ends the run; whatever
 * a stage says after that, or after the exchange was aborted, is dropped.
 */
export function compose(stages: readonly RequestHandler[]): RequestHandler {
  return function chain(req, res, done) {
    const exchange = exchangeOf(res);
    let index = 0;
    let over = false;

    /** What every stage gets as its `next`: it may be kept to report an error later. */
    function next(error?: unknown): void {
      if (over) return;
      const stage = stages[index];
      if (error || !stage) {
        over = true;
        done(error);
      } else if (index > 0 && exchange.abortReason) {
        interrupted(exchange, next);
      } else {
        index += 1;
        run(stage);
      }
    }

    function run(stage: RequestHandler): void {
      try {
        const result: unknown = stage(req, res, next as NextFunction);
        if (result instanceof Promise) result.catch(next);
      } catch (error) {
        next(error);
      }
    }

    next();
  };
}

/** Aborted between two stages: nobody else has seen it, unless the one who aborted replies as well. */
function interrupted({ abortReason, replySettled }: Exchange, next: (error: unknown) => void): void {
  if (!replySettled) next(abortReason);
}
