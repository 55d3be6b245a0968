import type { Service } from '../config/services.ts';
import type { BreakerEvent } from '../lib/circuitbreaker/breaker.ts';
import { type BreakerSubject, breakerLog } from './breakerLog.ts';
import type { BreakerNews } from './breakerNews.ts';
import type { Parts, PartsOptions } from './parts.ts';
import { ServiceReplicas } from './replicas.ts';
import type { Threads } from './threads/threads.ts';

interface ServiceReplicasParts
  extends Pick<Parts, 'settings' | 'clock' | 'logger' | 'metrics' | 'transport' | 'registry'> {
  readonly breakerNews: BreakerNews;
  readonly random: NonNullable<PartsOptions['random']>;
  readonly threads?: Pick<Threads, 'replicasOf'> | undefined;
}

/** Makes the replicas of each service and tells everybody concerned what becomes of them. */
export function serviceReplicas(parts: ServiceReplicasParts): (service: Service) => ServiceReplicas {
  const { settings, logger, metrics, transport, registry, breakerNews, clock, random, threads } = parts;
  const threshold = settings.circuitBreakerThreshold;
  const windowMs = settings.circuitBreakerWindowMs;
  const log = breakerLog({ logger, metrics, threshold, windowMs, deregisters: registry.takesCalls });

  function onBreakerEvent(event: BreakerEvent, subject: BreakerSubject): void {
    log(event, subject);
    if (settings.breakerShared) breakerNews.publish(event, subject);
    // Once for a trip: who hears of it from another gateway, or fails its trial, has been reported already.
    const tripped = event.kind === 'transition' && event.from === 'closed' && event.to === 'open';
    if (tripped && !event.hinted) registry.deregister(subject.replicaId);
  }

  return (service) =>
    new ServiceReplicas({
      service,
      threshold,
      windowMs,
      cooldownMs: settings.circuitBreakerCooldownMs,
      slowStartMs: settings.slowStartMs,
      clock,
      random,
      threads: threads?.replicasOf(service.path),
      onBreakerEvent,
      onDeparted: ({ id }) => metrics.forgetReplica(service.path, id),
      onIdle: ({ url }) => {
        transport.forget(url).catch((error: unknown) => {
          logger.warn(`Closing the connections to ${url.origin} failed`, { error });
        });
      },
    });
}
