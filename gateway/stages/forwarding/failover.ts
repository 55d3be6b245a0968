import { CircuitOpenError } from '../../../lib/circuitbreaker/errors.ts';
import { failover as failoverMiddleware } from '../../../lib/loadbalancer/retry/failover.ts';
import { UpstreamUnreachableError } from '../../../lib/proxy/errors.ts';
import type { Stage } from '../stage.ts';
import { keepsReplica } from './affinity.ts';

/** Runs the stages after it, and again for another replica where that does no harm. */
export const failover: Stage = (context) => {
  const { parts, service, rest } = context;
  const { metrics, logger, clock } = parts;
  const { path, retries, hedges, requestTimeoutMs } = service.settings;
  return failoverMiddleware({
    pool: service.replicas.pool,
    budget: retries ? service.retryBudget : undefined,
    attempt: rest,
    gotNoResponse: (error) => error instanceof UpstreamUnreachableError,
    isRefused: (error) => error instanceof CircuitOpenError && error.afterChoice,
    onFailover: ({ target }, error) => {
      metrics.failovers.count(path, target.id);
      logger.debug(`Failover: trying another replica than ${target.url.origin}`, { error });
    },
    hedging: hedges ? service.hedgings.within(requestTimeoutMs) : undefined,
    keepsReplica: keepsReplica(context),
    onHedged: (first, second) => {
      metrics.hedges.count(path);
      logger.debug(
        `Hedge: ${first.target.url.origin} is silent, ${second.target.url.origin} is asked as well`,
      );
    },
    onHedgeWon: () => metrics.hedgesWon.count(path),
    clock,
  });
};
