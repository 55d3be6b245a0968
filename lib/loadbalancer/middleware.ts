import type { Request, RequestHandler, Response } from 'express';
import { type Clock, systemClock } from '../clock/clock.ts';
import { Attempt, type JudgeAbsence } from '../exchange/attempt.ts';
import { type Exchange, exchangeOf } from '../exchange/exchange.ts';
import { isRepeatable } from '../http/content.ts';
import { listener } from '../util/listener.ts';
import type { Affinity } from './affinity/affinity.ts';
import { NoHealthyReplicaError } from './errors.ts';
import type { ReplicaPool } from './pool.ts';
import type { Replica } from './replica.ts';

export interface LoadBalancerOptions {
  readonly pool: ReplicaPool;
  /** Whether the replica takes requests of this caller now. Default: each that is available does. */
  readonly admits?: ((replica: Replica, req: Request, res: Response) => boolean) | undefined;
  /**
   * Whether breakers keep no request away: it goes to a replica that is let through to as long as there is one, and else to
   * any healthy one. Default false.
   */
  readonly ignoresBreakers?: boolean;
  /** The error when healthy replicas exist but all of them are suspended. Default: `NoHealthyReplicaError`. */
  readonly allSuspended?: (suspended: readonly [Replica, ...Replica[]], req: Request, res: Response) => Error;
  /**
   * Where requests go that belong together, as long as that replica takes them. A second try goes there, too: to the one that it
   * says among the others. Default: they go by load.
   */
  readonly affinity?: Affinity | undefined;
  readonly onSelected?: (replica: Replica, attempt: Attempt, res: Response) => void;
  /** Judges whether a replica that gives no response is absent. Default: none is. */
  readonly judgeAbsence?: JudgeAbsence | undefined;
  /**
   * How long a replica still counts as busy with a request that was broken off because another replica responded first,
   * as it may still work on it. Default 0.
   */
  readonly busyWithLostMs?: number;
  readonly clock?: Clock;
}

/**
 * Chooses the replica a request goes to and keeps count of what is under way there. Run again for the same request,
 * it chooses one that has not been tried.
 */
export function loadBalancer(options: Readonly<LoadBalancerOptions>): RequestHandler {
  const { pool, judgeAbsence, busyWithLostMs = 0, clock = systemClock } = options;
  const { allSuspended = () => new NoHealthyReplicaError(pool.service) } = options;
  const onSelected = listener(options.onSelected);
  const choose = choiceIn(options);

  function refusal(req: Request, res: Response): Error {
    const [first, ...others] = pool.replicas.filter(({ healthy }) => healthy);
    return first ? allSuspended([first, ...others], req, res) : new NoHealthyReplicaError(pool.service);
  }

  return function loadBalancerMiddleware(req, res, next) {
    const exchange = exchangeOf(res);
    const replica = choose(exchange, req, res);
    if (!replica) return next(refusal(req, res));
    const startedAtMs = clock.ticks();
    const { latestAttempt: previous } = exchange;
    const repeatable = isRepeatable(req);
    const attempt = new Attempt(replica, { repeatable, startedAtMs, judgeAbsence, previous });
    attempt.watch({
      responded: () => {
        replica.heardAtMs = clock.ticks();
        replica.tookMs = replica.heardAtMs - startedAtMs;
        exchange.phases?.begin('response');
      },
      ended: () => {
        if (attempt.lost) clock.after(busyWithLostMs, () => pool.release(replica));
        else pool.release(replica);
      },
    });
    exchange.attempt = attempt;
    exchange.latestAttempt = attempt;
    // Whatever happens to the request later, the replica is free once the exchange is over. An upgraded connection
    // lasts longer.
    exchange.onClose(() => {
      if (!exchange.upgraded) attempt.end({ kind: 'abandoned' });
    });
    onSelected(replica, attempt, res);
    next();
  };
}

/** Chooses a replica for a request; undefined: none can take it. */
function choiceIn({
  pool,
  admits = () => true,
  affinity = () => undefined,
  ignoresBreakers = false,
}: LoadBalancerOptions) {
  return (exchange: Exchange, req: Request, res: Response): Replica | undefined => {
    const isFirst = exchange.latestAttempt === undefined;
    const accepts = (replica: Replica) =>
      (isFirst || !exchange.hasTried(replica)) && (ignoresBreakers || admits(replica, req, res));
    const kept = affinity(req, res, isFirst ? accepts : (replica) => isNoTrial(replica) && accepts(replica));
    const replica = kept && pool.takeOne(kept);
    if (replica) return replica;
    if (ignoresBreakers) return pool.takeAnyway(accepts);
    return isFirst ? pool.take(accepts) : pool.takeAnother(accepts);
  };
}

/** What has come to nothing once must not be the trial of another breaker. */
function isNoTrial({ admission }: Replica): boolean {
  return admission !== 'trial';
}
