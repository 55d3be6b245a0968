import type { NextFunction, RequestHandler } from 'express';
import { exchangeOf } from '../lib/exchange/exchange.ts';

/**
 * One handler that runs `stages` in listed order. What the first of them reports as an error ends the run; whatever
 * a stage says after that, or after the exchange was aborted, is dropped.
 */
export function compose(stages: readonly RequestHandler[]): RequestHandler {
  return function chain(req, res, done) {
    const { signal } = exchangeOf(res);
    let over = false;

    function finish(error?: unknown): void {
      if (over) return;
      over = true;
      done(error);
    }

    function run(index: number): void {
      const stage = stages[index];
      if (!stage) {
        finish();
        return;
      }
      const next = ((error?: unknown) => {
        if (error) finish(error);
        else if (!over && !signal.aborted) run(index + 1);
      }) as NextFunction;
      try {
        const result: unknown = stage(req, res, next);
        if (result instanceof Promise) result.catch(finish);
      } catch (error) {
        finish(error);
      }
    }

    run(0);
  };
}
