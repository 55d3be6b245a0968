import type { RequestHandler } from 'express';
import { AUTH_PATHS } from '../config/services.ts';
import { auth } from '../lib/auth/middleware.ts';
import { cache as cacheAnswers } from '../lib/cache/middleware.ts';
import { CircuitOpenError } from '../lib/circuitbreaker/errors.ts';
import { circuitBreaker } from '../lib/circuitbreaker/middleware.ts';
import { concurrency } from '../lib/concurrency/middleware.ts';
import { exchangeOf } from '../lib/exchange/exchange.ts';
import { failover as tryAgain } from '../lib/loadbalancer/failover.ts';
import { balance as balanceLoad } from '../lib/loadbalancer/middleware.ts';
import { UpstreamUnreachableError } from '../lib/proxy/errors.ts';
import { forward as forwardRequest } from '../lib/proxy/middleware.ts';
import { timeout } from '../lib/timeout/middleware.ts';
import { compose } from './compose.ts';
import type { Parts, ServiceParts } from './parts.ts';
import type { Port } from './port.ts';

/** What a stage is made from. A stage thinks once per service, at start; its handler acts per request. */
export interface StageContext {
  readonly port: Port;
  readonly parts: Parts;
  readonly service: ServiceParts;
}

export type Stage = (context: StageContext) => RequestHandler;

export const admit: Stage = ({ parts: { gatewayLimiter, metrics }, service }) =>
  concurrency({
    service: service.limiter,
    gateway: gatewayLimiter,
    onLimitReached: () => metrics.limitReached.count(service.settings.path),
  });

export const deadline: Stage = ({ port, parts, service: { settings } }) => {
  const { clock, metrics } = parts;
  return timeout({
    timeoutMs: settings.requestTimeoutMs,
    bodyTimeoutMs: parts.settings.bodyTimeoutMs,
    minUploadRate: parts.settings.minUploadRate,
    // Users do not set deadlines; services that call each other do.
    acceptCallersDeadline: port === 'internal',
    onTimeout: () => metrics.timeouts.count(settings.path, port),
    clock,
  });
};

export const authenticate: Stage = ({ parts: { authenticator, metrics, logger } }) =>
  auth({
    authenticator,
    issuePaths: AUTH_PATHS.issue,
    revokePaths: AUTH_PATHS.revoke,
    onAccepted: () => metrics.jwtAccepted.count(),
    onRejected: (problem) => metrics.jwtRejected.count(problem),
    onIssued: () => metrics.jwtGenerated.count(),
    onNotAdmitted: (error) => logger.warn('JWT handed out by a service was not admitted', { error }),
  });

export const cache: Stage = ({ parts: { settings, stores, metrics, clock, logStoreError }, service }) => {
  const { path, cacheTtlMs } = service.settings;
  return cacheAnswers({
    store: stores.responses,
    defaultTtlMs: cacheTtlMs,
    maxEntryBytes: settings.cacheMaxEntryBytes,
    onVerdict: (verdict) => {
      if (verdict === 'hit') metrics.cacheHits.count(path);
      else if (verdict !== 'bypass') metrics.cacheMisses.count(path);
    },
    onError: (error) => {
      metrics.cacheErrors.count(path);
      logStoreError(error);
    },
    clock,
  });
};

/** Runs `tryStages` for one replica and, where that can do no harm, once more for another. */
export function failover(tryStages: readonly Stage[]): Stage {
  return function failover(context) {
    const { parts, service } = context;
    const { path } = service.settings;
    return tryAgain({
      pool: service.replicas.pool,
      budget: service.retryBudget,
      attempt: compose(tryStages.map((stage) => stage(context))),
      isUnanswered: (error) => error instanceof UpstreamUnreachableError,
      onFailover: ({ target }, error) => {
        parts.metrics.failovers.count(path, target.id);
        parts.logger.debug(`Failover: trying another replica than ${target.url.origin}`, { error });
      },
    });
  };
}

export const balance: Stage = ({ parts, service: { settings, replicas, watchdog } }) => {
  const { metrics, logger, registry } = parts;
  return balanceLoad({
    pool: replicas.pool,
    allSuspended: (suspended) => {
      const { replica, retryAfterMs } = replicas.nextTrial(suspended);
      logger.warn(`⚡ Circuit breaker OPEN for ${replica.url.origin} - request rejected (fail-fast)`);
      metrics.breakerRejected.count(settings.path);
      return new CircuitOpenError(retryAfterMs);
    },
    onSelected: (replica, attempt) => {
      metrics.lbRequests.count(settings.path, replica.id);
      registry.increment(replica.id);
      watchdog.watch(replica, attempt);
    },
  });
};

export const breaker: Stage = ({ parts: { metrics }, service: { settings, replicas } }) =>
  circuitBreaker({
    breakerFor: (res) => replicas.breakerOf(exchangeOf(res).attempt?.target.id ?? settings.name),
    onRejected: () => metrics.breakerRejected.count(settings.path),
  });

export const forward: Stage = ({ port, parts }) => {
  const { transport, trustsPeer, settings, upgrades, onContent, clock } = parts;
  return forwardRequest({
    transport,
    silenceMs: settings.upstreamTimeoutMs,
    maxBodyBytes: settings.maxBodyBytes,
    sendTimeoutMs: settings.sendTimeoutMs,
    trustsPeer,
    via: settings.viaName,
    viaOnAnswers: settings.viaOnAnswers,
    // Services call each other in their own name and may pass on a user's.
    ownsIdentity: port === 'external',
    upgrades,
    onContent,
    clock,
  });
};
