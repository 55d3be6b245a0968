import type { RequestHandler } from 'express';
import { Attempt } from '../exchange/attempt.ts';
import { exchangeOf } from '../exchange/exchange.ts';
import { listener } from '../exchange/listener.ts';
import { NoHealthyReplicaError } from './errors.ts';
import type { Replica, ReplicaPool } from './pool.ts';

export interface BalanceOptions {
  readonly pool: ReplicaPool;
  /** Whether the replica may be asked now, its breaker for instance. Default: always. */
  readonly eligible?: (replica: Replica) => boolean;
  /** The error when healthy replicas exist but none is eligible. Default: `NoHealthyReplicaError`. */
  readonly noneEligible?: (healthy: readonly Replica[]) => Error;
  readonly onSelected?: (replica: Replica) => void;
}

/** Chooses the replica a request goes to and keeps count of what is under way there. */
export function balance(options: Readonly<BalanceOptions>): RequestHandler {
  const { pool, eligible = () => true } = options;
  const { noneEligible = () => new NoHealthyReplicaError(pool.service) } = options;
  const onSelected = listener(options.onSelected);

  return function balanceMiddleware(_req, res, next) {
    const replica = pool.take(eligible);
    if (!replica) {
      const healthy = pool.replicas.filter((candidate) => candidate.healthy);
      return next(healthy.length > 0 ? noneEligible(healthy) : new NoHealthyReplicaError(pool.service));
    }
    const attempt = new Attempt(replica);
    attempt.watch({
      ended: () => {
        replica.inFlight -= 1;
      },
    });
    const exchange = exchangeOf(res);
    exchange.attempt = attempt;
    // Whatever becomes of the request further on, the replica is free once the exchange is over; an upgraded
    // connection keeps it busy for longer.
    res.once('close', () => {
      if (!exchange.upgraded) attempt.end({ kind: 'abandoned' });
    });
    onSelected(replica);
    next();
  };
}
