import type {
  BreakerEvent,
  BreakerFailure,
  BreakerRules,
  BreakerTransition,
  Held,
} from '../../lib/circuitbreaker/contract.ts';
import type { Clock } from '../../lib/clock/clock.ts';
import type { Replica } from '../../lib/loadbalancer/replica.ts';
import type { Logger } from '../../lib/logging/logger.ts';
import type { Metrics } from '../../lib/metrics/metrics.ts';
import { throttled } from './throttled.ts';

export interface BreakerLogOptions {
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly clock: Clock;
  /** When the breakers of a service open, by its path prefix. */
  readonly termsOf: (service: string) => Pick<Required<BreakerRules>, 'threshold' | 'windowMs'> | undefined;
  /** Whether a replica whose breaker trips is reported to a registry. */
  readonly deregisters: boolean;
}

/** The replica of a breaker, as logs name it. */
export interface BreakerSubject {
  /** Path prefix of its service. */
  readonly service: string;
  readonly replica: Pick<Replica, 'key' | 'id' | 'url' | 'registered'>;
}

/** Counts and logs events of breakers, in the words of the original gateway, for which people grep. */
export function breakerLog({ logger, metrics, clock, termsOf, deregisters }: Readonly<BreakerLogOptions>) {
  const tripped = deregisters ? ' - deregistering' : '';
  const sayHeld = throttled(clock, ({ service, replica }: BreakerSubject) => {
    logger.warn(
      `Circuit Breaker: Service ${replica.url.origin} keeps failing and stays closed: half of the replicas are open already`,
      { service, replica: replica.id },
    );
  });

  function sayFailure({ count, held }: BreakerFailure, subject: BreakerSubject): void {
    const { service, replica } = subject;
    metrics.breakerFailures.count(service, replica.id);
    const { threshold = 0, windowMs = 0 } = termsOf(service) ?? {};
    const window = (windowMs / 1000).toFixed(2);
    logger.warn(
      `🔔 Circuit Breaker: Service ${replica.url.origin} failure ${count}/${threshold} (window: ${window} seconds)${why(held)}`,
      { service, replica: replica.id },
    );
    if (held?.by !== 'mayOpen') return;
    metrics.breakerHeld.count(service, replica.id);
    sayHeld(subject);
  }

  function sayTransition(event: BreakerTransition, { service, replica }: BreakerSubject): void {
    const { origin } = replica.url;
    const details = { service, replica: replica.id };
    if (event.hinted) {
      logger.warn(`Circuit Breaker: Service ${origin} is ${event.to}: another gateway said so`, details);
    } else if (event.to === 'open') {
      metrics.breakerTrips.count(service, replica.id);
      logger.error(
        `🚨 CIRCUIT BREAKER TRIPPED for ${origin}${event.from === 'closed' ? tripped : ''}`,
        details,
      );
    } else {
      logger.info(`Circuit Breaker: Service ${origin} is ${event.to}`, details);
    }
  }

  return (event: BreakerEvent, subject: BreakerSubject): void => {
    if (event.kind === 'failure') sayFailure(event, subject);
    else sayTransition(event, subject);
  };
}

/** The end of a line about failures: why the breaker is still closed although there are enough of them. */
function why(held: Held | undefined): string {
  if (held?.by !== 'ratio') return '';
  return `, stays closed: ${held.failures} of ${held.calls} calls failed`;
}

/**
 * Logs messages that cannot be read, at most one in ten seconds. Something else may use the channel, or another
 * version.
 */
export function unreadableNewsLog(logger: Logger, clock: Clock): (error: Error) => void {
  return throttled(clock, (error) => logger.warn('News of breakers that cannot be read', { error }));
}
