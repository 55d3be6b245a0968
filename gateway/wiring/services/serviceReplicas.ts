import type { Settings } from '../../../config/config.ts';
import type { BreakerTerms } from '../../../config/policies/policy.ts';
import type { Service } from '../../../config/sections/services.ts';
import type { BreakerEvent } from '../../../lib/circuitbreaker/contract.ts';
import { type BreakerSubject, breakerLog } from '../../logs/breakerLog.ts';
import type { Threads } from '../../threads/threads.ts';
import type { Parts, PartsOptions } from '../parts.ts';
import type { BreakerNews } from './breakerNews.ts';
import { ServiceReplicas } from './replicas.ts';

export interface ServiceReplicasParts
  extends Pick<Parts, 'settings' | 'clock' | 'logger' | 'metrics' | 'transports' | 'registry'> {
  readonly breakerNews: BreakerNews;
  readonly random: NonNullable<PartsOptions['random']>;
  readonly threads?: Pick<Threads, 'replicasOf'> | undefined;
}

/** Makes the replicas of each service and connects them to the logs, metrics, registry and transport. */
export function serviceReplicas(parts: ServiceReplicasParts): (service: Service) => ServiceReplicas {
  const { settings, logger, metrics, transports, registry, breakerNews, clock, random, threads } = parts;
  const log = breakerLog({
    termsOf: breakerTermsOf(settings),
    ...{ logger, metrics, clock, deregisters: registry.takesCalls },
  });

  function onBreakerEvent(event: BreakerEvent, subject: BreakerSubject): void {
    log(event, subject);
    if (settings.breakerShared) breakerNews.publish(event, subject);
    // Reported once for each trip. A replica known from another gateway, or failing its trial, was reported already.
    const tripped = event.kind === 'transition' && event.from === 'closed' && event.to === 'open';
    if (tripped && !event.hinted) registry.deregister(subject.replica.registered);
  }

  return (service) =>
    new ServiceReplicas({
      service,
      ...breakerTerms(service, settings),
      slowStartMs: settings.slowStartMs,
      clock,
      random,
      threads: threads?.replicasOf(service.path),
      onBreakerEvent,
      onDeparted: ({ id }) => metrics.forgetReplica(service.path, id),
      onIdle: ({ url }) => {
        transports
          .of(service)
          .forget(url)
          .catch((error: unknown) => {
            logger.warn(`Closing the connections to ${url.origin} failed`, { error });
          });
      },
    });
}

/** The options of a service's breakers; of one that has none, of breakers that nobody reports to. */
export function breakerTerms({ breaker }: Service, settings: Settings): BreakerTerms {
  return (
    breaker ?? {
      threshold: settings.circuitBreakerThreshold,
      ratio: settings.circuitBreakerRatio,
      windowMs: settings.circuitBreakerWindowMs,
      cooldownMs: settings.circuitBreakerCooldownMs,
    }
  );
}

/** The same by path of the service. */
export function breakerTermsOf(settings: Settings): (path: string) => BreakerTerms | undefined {
  const all = new Map(settings.services.map((service) => [service.path, breakerTerms(service, settings)]));
  return (path) => all.get(path);
}
