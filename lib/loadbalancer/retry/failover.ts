import type { NextFunction, Request, RequestHandler, Response } from 'express';
import { type Clock, systemClock } from '../../clock/clock.ts';
import type { Attempt } from '../../exchange/attempt.ts';
import { type Exchange, exchangeOf } from '../../exchange/exchange.ts';
import { isRepeatable } from '../../http/content.ts';
import { listener } from '../../util/listener.ts';
import type { ReplicaPool } from '../pool.ts';
import type { Hedging } from './hedging.ts';
import { Race, type RaceTerms } from './race.ts';
import type { RetryBudget } from './retryBudget.ts';

export interface FailoverOptions {
  readonly pool: ReplicaPool;
  /** What second tries are charged to. Undefined: there is none, and services see each request once. */
  readonly budget: RetryBudget | undefined;
  /** Makes one try at one replica: balances, asks the breaker, forwards. */
  readonly attempt: RequestHandler;
  /** Whether the error says that this replica gave no response. Others concern the request itself. */
  readonly gotNoResponse: (error: unknown) => boolean;
  /**
   * Whether the error says that the chosen replica does not take the request after all. Then another one is chosen, which
   * is no second try. Default: no error does.
   */
  readonly isRefused?: (error: unknown) => boolean;
  /** Called before the second try, with what went wrong in the first. */
  readonly onFailover?: (failed: Attempt, error: Error) => void;
  /** Sends a request that waits for a silent replica to a second one as well; needs a budget. Default: none is. */
  readonly hedging?: Hedging | undefined;
  /**
   * Whether requests go where others of theirs have gone: then a kept connection that was lost is opened again there, and none
   * is sent to a second replica before the first has failed, with or without `hedging`. Default false.
   */
  readonly keepsReplica?: boolean;
  /** Called when the request of the first try, which still waits, has been sent to a second replica as well. */
  readonly onHedged?: (first: Attempt, second: Attempt) => void;
  /** Called when the second replica responded before the first. */
  readonly onHedgeWon?: (second: Attempt) => void;
  readonly clock?: Clock;
}

/**
 * Makes a second try at another replica when the first failed and a second can do no harm: nothing of the request was
 * sent, or it is a GET or HEAD without content (RFC 9110 section 9.2.2) that got no response. There is at most one second
 * try for each request, within the budget.
 *
 * A replica that refuses the request between the choice and the call, because its breaker has just opened or makes its
 * trial, has not been sent anything: to choose another one is no second try.
 *
 * With `hedging`, such a GET or HEAD that waits for a silent replica is sent to another one as well, and the client gets
 * the first response. That is its second try. One whose kept connection was lost goes to another replica, which costs no
 * budget.
 */
export function failover(options: Readonly<FailoverOptions>): RequestHandler {
  const { pool, budget, isRefused = () => false, keepsReplica = false } = options;

  /** This ends, because no replica is chosen twice for a request. */
  const attempt: RequestHandler = (req, res, next) =>
    options.attempt(req, res, (error?: unknown) => {
      if (isRefused(error)) attempt(req, res, next);
      else next(error);
    });
  const tries = secondTries(options, attempt);
  const race = budget && !keepsReplica ? raceTerms(options, attempt, tries) : undefined;

  return function failoverMiddleware(req, res, next) {
    if (!budget) exchangeOf(res).isSentOnce = true;
    budget?.earn();
    if (race && pool.size > 1 && mayBeHedged(req, res)) {
      new Race(race, req, res, next).begin();
      return;
    }
    attempt(req, res, (error?: unknown) => {
      if (!tries.failOver(req, res, next, error)) next(error);
    });
  };
}

type SecondTries = Pick<RaceTerms, 'hasAnother' | 'failOver'>;

function secondTries(options: FailoverOptions, attempt: RequestHandler): SecondTries {
  const { pool, budget, gotNoResponse } = options;
  const onFailover = listener(options.onFailover);

  function hasAnother(exchange: Exchange): boolean {
    return pool.another((replica) => !exchange.hasTried(replica)) !== undefined;
  }

  function failOver(req: Request, res: Response, next: NextFunction, error: unknown): boolean {
    const exchange = exchangeOf(res);
    const failed = exchange.attempt;
    if (!failed || !gotNoResponse(error) || !mayBeRepeated(exchange, failed)) return false;
    if (!hasAnother(exchange) || !budget?.spend()) return false;
    onFailover(failed, error as Error);
    // If no replica takes it after all, the error of the only try counts.
    attempt(req, res, (second?: unknown) => next(exchange.attempt === failed ? error : second));
    return true;
  }

  return { hasAnother, failOver };
}

function raceTerms(options: FailoverOptions, attempt: RequestHandler, tries: SecondTries): RaceTerms {
  const { gotNoResponse, hedging, clock = systemClock } = options;
  const onHedged = listener(options.onHedged);
  const onHedgeWon = listener(options.onHedgeWon);
  return { ...tries, attempt, gotNoResponse, hedging, onHedged, onHedgeWon, clock };
}

function mayBeRepeated({ abortReason, maySend }: Exchange, failed: Attempt): boolean {
  return !abortReason && maySend && (!failed.sent || failed.repeatable);
}

/** An upgraded connection belongs to one replica. */
function mayBeHedged(req: Request, res: Response): boolean {
  return isRepeatable(req) && exchangeOf(res).upgradeHead === undefined;
}
