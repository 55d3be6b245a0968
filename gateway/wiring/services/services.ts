import { GatheringRoom } from '../../../lib/cache/stored/gatheringRoom.ts';
import { unreadableNewsLog } from '../../logs/breakerLog.ts';
import { mirroredBytes } from '../limits.ts';
import type { Parts, ServiceParts } from '../parts.ts';
import { BreakerNews } from './breakerNews.ts';
import { partsOfService } from './serviceParts.ts';
import { type ServiceReplicasParts, serviceReplicas } from './serviceReplicas.ts';

type ServicesParts = ServiceReplicasParts & Pick<Parts, 'stores' | 'limits' | 'logStoreError'>;

/** Makes what belongs to each service: its replicas, cache and limits. */
export function servicesOf(parts: ServicesParts): ServiceParts[] {
  const { settings, stores } = parts;
  const replicasOf = serviceReplicas(parts);
  const mirrored = new GatheringRoom(mirroredBytes(settings));
  const shared = { ...parts, responses: stores.responses, mirrored };
  return settings.services.map((service) => partsOfService(service, replicasOf(service), shared));
}

/** Tells other gateways of breakers, and those of `services` what others tell. Services may still be added to the list. */
export function breakerNewsOf(
  parts: Pick<Parts, 'stores' | 'services' | 'logger' | 'clock' | 'logStoreError' | 'threads'>,
): BreakerNews {
  const { stores, services, logger, clock, logStoreError, threads } = parts;
  return new BreakerNews({
    gatewayId: threads?.gatewayId,
    store: stores.tokens,
    replicasOf: (path) => services.find((service) => service.settings.path === path)?.replicas,
    onError: logStoreError,
    onUnreadable: unreadableNewsLog(logger, clock),
  });
}
