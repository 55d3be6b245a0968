import type { RequestHandler, Response } from 'express';
import { Attempt } from '../exchange/attempt.ts';
import { isRepeatable } from '../exchange/content.ts';
import { exchangeOf } from '../exchange/exchange.ts';
import { listener } from '../exchange/listener.ts';
import { NoHealthyReplicaError } from './errors.ts';
import type { ReplicaPool } from './pool.ts';
import type { Replica } from './replica.ts';

export interface BalanceOptions {
  readonly pool: ReplicaPool;
  /** The error when healthy replicas exist but all of them are suspended. Default: `NoHealthyReplicaError`. */
  readonly allSuspended?: (suspended: readonly [Replica, ...Replica[]]) => Error;
  readonly onSelected?: (replica: Replica, attempt: Attempt, res: Response) => void;
}

/**
 * Chooses the replica a request goes to and keeps count of what is under way there. Run again for the same request,
 * it chooses another one than before.
 */
export function balance(options: Readonly<BalanceOptions>): RequestHandler {
  const { pool } = options;
  const { allSuspended = () => new NoHealthyReplicaError(pool.service) } = options;
  const onSelected = listener(options.onSelected);

  function refusal(): Error {
    const [first, ...others] = pool.replicas.filter(({ healthy }) => healthy);
    return first ? allSuspended([first, ...others]) : new NoHealthyReplicaError(pool.service);
  }

  return function balanceMiddleware(req, res, next) {
    const exchange = exchangeOf(res);
    const replica = pool.take(exchange.attempt?.target as Replica | undefined);
    if (!replica) return next(refusal());
    const attempt = new Attempt(replica, { repeatable: isRepeatable(req) });
    attempt.watch({ answered: () => exchange.laps?.begin('answer'), ended: () => pool.release(replica) });
    exchange.attempt = attempt;
    // Whatever becomes of the request further on, the replica is free once the exchange is over; an upgraded
    // connection keeps it busy for longer.
    exchange.onClose(() => {
      if (!exchange.upgraded) attempt.end({ kind: 'abandoned' });
    });
    onSelected(replica, attempt, res);
    next();
  };
}
