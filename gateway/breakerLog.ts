import type { BreakerEvent } from '../lib/circuitbreaker/breaker.ts';
import type { Logger } from '../lib/logging/logger.ts';
import type { Metrics } from '../lib/metrics/metrics.ts';

export interface BreakerLogOptions {
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly threshold: number;
  readonly windowMs: number;
}

/** The replica a breaker stands in front of, as the log names it. */
export interface BreakerSubject {
  /** Path prefix of its service. */
  readonly service: string;
  readonly replicaId: string;
  readonly origin: string;
}

/** Counts and logs what happens to breakers, in the original's words: people grep for them. */
export function breakerLog({ logger, metrics, threshold, windowMs }: BreakerLogOptions) {
  const window = (windowMs / 1000).toFixed(2);

  return (event: BreakerEvent, { service, replicaId, origin }: BreakerSubject): void => {
    const details = { service, replica: replicaId };
    if (event.kind === 'failure') {
      metrics.breakerFailures.count(service, replicaId);
      const count = `${event.count}/${threshold}`;
      logger.warn(
        `🔔 Circuit Breaker: Service ${origin} failure ${count} (window: ${window} seconds)`,
        details,
      );
    } else if (event.to === 'open') {
      metrics.breakerTrips.count(service, replicaId);
      logger.error(`🚨 CIRCUIT BREAKER TRIPPED for ${origin}`, details);
    } else {
      logger.info(`Circuit Breaker: Service ${origin} is ${event.to}`, details);
    }
  };
}
