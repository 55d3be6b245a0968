import type { CheckEvent, ProbeOutcome } from '../../lib/healthcheck/contract.ts';
import type { Logger } from '../../lib/logging/logger.ts';
import type { Metrics } from '../../lib/metrics/metrics.ts';

/** Counts and logs what health checks find: one line for each change. `service` is the service's path prefix. */
export function checkLog(logger: Logger, metrics: Metrics) {
  return {
    outcome(service: string, outcome: ProbeOutcome): void {
      metrics.healthProbes.count(service, outcome.kind === 'failed' ? outcome.why : outcome.kind);
    },

    event(service: string, event: CheckEvent): void {
      if (event.kind === 'none') {
        const text = `No replica of ${service} passes its health check: requests get 503 until one does`;
        logger.error(text, { service });
        return;
      }
      const { replica, text } = event;
      const details = { service, replica: replica.id };
      const named = `Replica ${replica.url.origin} of ${service}`;
      if (event.kind === 'waits') {
        logger.info(
          `${named} is new and gets no requests until it passes its health check: ${text}`,
          details,
        );
      } else if (event.kind === 'doubted') {
        const because = 'no replica of the service has ever passed it, so it is not heeded';
        logger.warn(
          `${named} refuses its health check with ${text}, and ${because}: see health.path`,
          details,
        );
      } else if (event.to === 'failing') {
        metrics.healthFailures.count(service, replica.id);
        logger.warn(`${named} is unhealthy: ${text}, ${event.count} in a row`, details);
      } else {
        const again = event.from === 'failing' ? ' again' : '';
        logger.info(`${named} is healthy${again}: ${text}, ${event.count} in a row`, details);
      }
    },
  };
}
