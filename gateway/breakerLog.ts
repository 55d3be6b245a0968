import type { BreakerEvent } from '../lib/circuitbreaker/breaker.ts';
import type { Clock } from '../lib/clock/clock.ts';
import type { Logger } from '../lib/logging/logger.ts';
import type { Metrics } from '../lib/metrics/metrics.ts';
import { sparingly } from './sparingly.ts';

export interface BreakerLogOptions {
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly threshold: number;
  readonly windowMs: number;
  /** Whether a replica whose breaker trips is reported to a registry. */
  readonly deregisters: boolean;
}

/** The replica a breaker stands in front of, as the log names it. */
export interface BreakerSubject {
  /** Path prefix of its service. */
  readonly service: string;
  readonly replicaId: string;
  readonly origin: string;
}

/** Counts and logs what happens to breakers, in the original's words: people grep for them. */
export function breakerLog({ logger, metrics, threshold, windowMs, deregisters }: BreakerLogOptions) {
  const window = (windowMs / 1000).toFixed(2);
  const tripped = deregisters ? ' - deregistering' : '';

  return (event: BreakerEvent, { service, replicaId, origin }: BreakerSubject): void => {
    const details = { service, replica: replicaId };
    if (event.kind === 'failure') {
      metrics.breakerFailures.count(service, replicaId);
      const count = `${event.count}/${threshold}`;
      logger.warn(
        `🔔 Circuit Breaker: Service ${origin} failure ${count} (window: ${window} seconds)`,
        details,
      );
    } else if (event.kind === 'transition' && event.hinted) {
      logger.warn(`Circuit Breaker: Service ${origin} is ${event.to}: another gateway said so`, details);
    } else if (event.kind === 'transition' && event.to === 'open') {
      logger.error(
        `🚨 CIRCUIT BREAKER TRIPPED for ${origin}${event.from === 'closed' ? tripped : ''}`,
        details,
      );
    } else if (event.kind === 'transition') {
      logger.info(`Circuit Breaker: Service ${origin} is ${event.to}`, details);
    }
  };
}

/** Somebody else uses the channel, or gateways of different versions do. At most one line in ten seconds. */
export function unreadableNewsLog(logger: Logger, clock: Clock): (error: Error) => void {
  return sparingly(clock, (error) => logger.warn('News of breakers that cannot be read', { error }));
}
