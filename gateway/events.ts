import type { Response } from 'express';
import type { Settings } from '../config/config.ts';
import type { BreakerEvent } from '../lib/circuitbreaker/breaker.ts';
import type { Clock } from '../lib/clock/clock.ts';
import { exchangeOf } from '../lib/exchange/exchange.ts';
import { pathOf } from '../lib/exchange/path.ts';
import type { Logger } from '../lib/logging/logger.ts';
import type { Metrics } from '../lib/metrics/metrics.ts';
import type { Completed, ObserveOptions } from '../lib/metrics/middleware.ts';
import type { StoreStateChange } from '../lib/store/redis.ts';
import type { ReplyCode } from './errors.ts';
import type { Parts, ServiceParts } from './parts.ts';
import type { Port } from './stages.ts';

/** A store that is away fails for every request: one line in this time says so. */
const STORE_ERROR_EVERY_MS = 10_000;

/** 1 to 128 characters that are safe in a field and in a log. */
const REQUEST_ID = /^[\w.:/+=-]{1,128}$/;

/** Counts each request and writes its access line. */
export function onCompleted(
  { metrics, logger }: Parts,
  port: Port,
): Pick<ObserveOptions, 'onCompleted' | 'keepsRequestId'> {
  return {
    // Users do not name requests; a service that calls another passes the name on.
    keepsRequestId: (requestId) => port === 'internal' && REQUEST_ID.test(requestId),
    onCompleted: (completed) => {
      const { method, status, seconds, exchange } = completed;
      metrics.requestCompleted(exchange.service, method, status, port, seconds);
      if (logger.isInfoEnabled()) logger.info(accessLine(completed), accessDetails(completed, port));
    },
  };
}

/** Path only: a query may hold what must not be in a log. */
function accessLine({ method, target, status, seconds, exchange }: Completed): string {
  const line = `${method} ${pathOf(target)} ${status || 'client gone'} in ${(seconds * 1000).toFixed(1)} ms`;
  const { attempt, errorCode } = exchange;
  if (errorCode?.startsWith('token_')) return `${line} (JWT refused: ${errorCode})`;
  return attempt ? `${line} (Load balancer selected ${attempt.target.url.origin})` : line;
}

/** What a machine reads of the same request; `undefined` leaves a detail out. */
function accessDetails({ method, status, seconds, exchange }: Completed, port: Port) {
  return {
    requestId: exchange.requestId,
    port,
    service: exchange.service,
    method,
    status,
    seconds: Number(seconds.toFixed(4)),
    replica: exchange.attempt?.target.id,
    subject: exchange.identity?.subject,
    cache: exchange.cacheVerdict,
    code: exchange.errorCode,
  };
}

export function onReply({ metrics }: Parts, port: Port): (code: ReplyCode, res: Response) => void {
  return (code, res) => metrics.errors.count(exchangeOf(res).service, code, port);
}

export function onUnexpected({ logger }: Parts): (error: unknown, res: Response) => void {
  return (error, res) => {
    const cause = error instanceof Error ? error : new Error(String(error));
    logger.error('Unexpected error', { requestId: exchangeOf(res).requestId, error: cause });
  };
}

export interface BreakerEventParts {
  readonly settings: Settings;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly services: readonly ServiceParts[];
}

/** Log lines in the original's words: people grep for them. */
export function onBreakerEvent(parts: BreakerEventParts, replicaId: string, event: BreakerEvent): void {
  const { settings, logger, metrics } = parts;
  const { service, origin } = ownerOf(parts.services, replicaId);
  if (event.kind === 'failure') {
    metrics.breakerFailures.count(service, replicaId);
    const window = (settings.circuitBreakerWindowMs / 1000).toFixed(2);
    const count = `${event.count}/${settings.circuitBreakerThreshold}`;
    logger.warn(`🔔 Circuit Breaker: Service ${origin} failure ${count} (window: ${window} seconds)`, {
      service,
      replica: replicaId,
    });
  } else if (event.to === 'open') {
    logger.error(`🚨 CIRCUIT BREAKER TRIPPED for ${origin}`, { service, replica: replicaId });
  } else {
    logger.info(`Circuit Breaker: Service ${origin} is ${event.to}`, { service, replica: replicaId });
  }
}

function ownerOf(services: readonly ServiceParts[], replicaId: string): { service: string; origin: string } {
  for (const { settings, replicas } of services) {
    const replica = replicas.replicas.find(({ id }) => id === replicaId);
    if (replica) return { service: settings.path, origin: replica.url.origin };
  }
  return { service: 'none', origin: replicaId };
}

/** Logs a store error at most once in ten seconds. */
export function storeErrorLog(logger: Logger, clock: Clock): (error: Error) => void {
  let nextAtMs = 0;
  return (error) => {
    if (clock.now() < nextAtMs) return;
    nextAtMs = clock.now() + STORE_ERROR_EVERY_MS;
    logger.warn('The store does not answer', { error });
  };
}

/** Says when Redis is lost and when it is back: between the two every use of it fails at once. */
export function storeStateLog(logger: Logger): (change: StoreStateChange) => void {
  return ({ store, ready, cause }) => {
    if (ready) logger.info(`Redis answers (${store})`);
    else logger.warn(`Redis is away (${store})`, { error: cause });
  };
}
