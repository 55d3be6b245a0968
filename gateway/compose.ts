import type { NextFunction, RequestHandler } from 'express';
import { type Exchange, exchangeOf } from '../lib/exchange/exchange.ts';

/**
 * One handler that runs `stages` in the listed order. The first error that a stage reports ends the run. What stages
 * report after that, or after the exchange was aborted, is ignored.
 */
export function compose(stages: readonly RequestHandler[]): RequestHandler {
  return function chain(req, res, done) {
    const exchange = exchangeOf(res);
    let index = 0;
    let over = false;

    /** The `next` of every stage. A stage may keep it to report an error later. */
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

/** The exchange was aborted between two stages. The error goes on, unless whoever aborted it sends the reply. */
function interrupted({ abortReason, replySettled }: Exchange, next: (error: unknown) => void): void {
  if (!replySettled) next(abortReason);
}
