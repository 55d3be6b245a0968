import type { RequestHandler } from 'express';
import type { Attempt } from '../exchange/attempt.ts';
import { type Exchange, exchangeOf } from '../exchange/exchange.ts';
import { listener } from '../exchange/listener.ts';
import type { ReplicaPool } from './pool.ts';
import type { Replica } from './replica.ts';
import type { RetryBudget } from './retryBudget.ts';

export interface FailoverOptions {
  readonly pool: ReplicaPool;
  readonly budget: RetryBudget;
  /** Makes one try at one replica: balances, asks the breaker, forwards. */
  readonly attempt: RequestHandler;
  /** Whether the error says that this replica gave no answer. Others concern the request itself. */
  readonly isUnanswered: (error: unknown) => boolean;
  /** Called before the second try, with what went wrong in the first. */
  readonly onFailover?: (failed: Attempt, error: Error) => void;
}

/**
 * Makes a second try at another replica when the first came to nothing and a second can do no harm: nothing of the
 * request was sent, or it is a GET or HEAD without content (RFC 9110 section 9.2.2) that got no answer. At most once
 * for each request, within the budget.
 */
export function failover(options: Readonly<FailoverOptions>): RequestHandler {
  const { pool, budget, attempt, isUnanswered } = options;
  const onFailover = listener(options.onFailover);

  return function failoverMiddleware(req, res, next) {
    const exchange = exchangeOf(res);
    budget.earn();
    attempt(req, res, (error?: unknown) => {
      const failed = exchange.attempt;
      if (!failed || !isUnanswered(error) || !mayBeRepeated(exchange, failed)) return next(error);
      if (!pool.hasAnother(failed.target as Replica) || !budget.spend()) return next(error);
      onFailover(failed, error as Error);
      attempt(req, res, next);
    });
  };
}

function mayBeRepeated({ abortReason, maySend }: Exchange, failed: Attempt): boolean {
  return !abortReason && maySend && (!failed.sent || failed.repeatable);
}
