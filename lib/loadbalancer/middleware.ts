import type { RequestHandler, Response } from 'express';
import { type Clock, systemClock } from '../clock/clock.ts';
import { Attempt, type JudgeAbsence } from '../exchange/attempt.ts';
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
  /** Judges whether a replica that leaves a try without a response is absent. Default: none is. */
  readonly judgeAbsence?: JudgeAbsence;
  /**
   * How long a replica counts as busy with a request that was taken from it because another replica responded first:
   * it may work on it still. Default 0.
   */
  readonly busyWithLostMs?: number;
  readonly clock?: Clock;
}

/**
 * Chooses the replica a request goes to and keeps count of what is under way there. Run again for the same request,
 * it chooses another one than before.
 */
export function balance(options: Readonly<BalanceOptions>): RequestHandler {
  const { pool, judgeAbsence, busyWithLostMs = 0, clock = systemClock } = options;
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
    const startedAtMs = clock.ticks();
    const attempt = new Attempt(replica, { repeatable: isRepeatable(req), startedAtMs, judgeAbsence });
    attempt.watch({
      answered: () => {
        replica.heardAtMs = clock.ticks();
        replica.tookMs = replica.heardAtMs - startedAtMs;
        exchange.laps?.begin('answer');
      },
      ended: () => {
        if (attempt.lost) clock.after(busyWithLostMs, () => pool.release(replica));
        else pool.release(replica);
      },
    });
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
