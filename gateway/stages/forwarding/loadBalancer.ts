import { CircuitOpenError } from '../../../lib/circuitbreaker/errors.ts';
import type { JudgeAbsence } from '../../../lib/exchange/attempt.ts';
import { addressOf, callerOf } from '../../../lib/exchange/caller.ts';
import { loadBalancer as loadBalancerMiddleware } from '../../../lib/loadbalancer/middleware.ts';
import type { Stage, StageContext } from '../stage.ts';
import { affinityOf } from './affinity.ts';

/** Chooses the replica. */
export const loadBalancer: Stage = (context) => {
  const { parts, service } = context;
  const { settings, replicas } = service;
  const { metrics, logger, registry, spans, trustsPeer, clock } = parts;
  // A route with `breaker: off`, of a service that has breakers: its requests say nothing for them or against a replica.
  const isIndifferent = !settings.breaker && replicas.hasBreakers;
  const caller = callerOf(trustsPeer);
  return loadBalancerMiddleware({
    pool: replicas.pool,
    admits: settings.breaker
      ? ({ key }, req, res) =>
          replicas.isClosed(key) || replicas.breakerOf(key).admitsCaller(caller(req, res))
      : undefined,
    ignoresBreakers: isIndifferent,
    allSuspended: (suspended, req, res) => {
      for (const { key } of suspended) replicas.breakerOf(key).turnedAway(caller(req, res));
      const { replica, retryAfterMs } = replicas.nextTrial(suspended);
      logger.warn(`⚡ Circuit breaker OPEN for ${replica.url.origin} - request rejected (fail-fast)`);
      metrics.breakerRejected.count(settings.path);
      return new CircuitOpenError(retryAfterMs);
    },
    affinity: affinityOf(context),
    onSelected: (replica, attempt, res) => {
      spans?.attempt(attempt, res);
      metrics.lbRequests.count(settings.path, replica.id);
      if (replica.listed) registry.increment(replica.registered);
    },
    judgeAbsence: isIndifferent ? undefined : absenceOf(context),
    busyWithLostMs: settings.requestTimeoutMs,
    clock,
  });
};

function absenceOf({ parts, service }: StageContext): JudgeAbsence {
  const { settings, replicas, absence } = service;
  const deadlineMs = settings.requestTimeoutMs;
  const caller = callerOf(parts.trustsPeer);
  const address = addressOf(parts.trustsPeer);
  return (attempt, res) => {
    const who = caller(res.req, res);
    const at = address(res.req, res);
    return absence.judge(attempt, who, {
      address: at,
      deadlineMs,
      othersAreServed: () => replicas.hasServedAnother(who, at),
    });
  };
}
