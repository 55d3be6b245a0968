import type { Settings } from '../../../config/config.ts';
import type { Service } from '../../../config/sections/services.ts';
import { ServiceCache } from '../../../lib/cache/serviceCache.ts';
import type { GatheringRoom } from '../../../lib/cache/stored/gatheringRoom.ts';
import type { Clock } from '../../../lib/clock/clock.ts';
import { Absence } from '../../../lib/loadbalancer/retry/absence.ts';
import { Hedgings } from '../../../lib/loadbalancer/retry/hedgings.ts';
import { RetryBudget } from '../../../lib/loadbalancer/retry/retryBudget.ts';
import type { Metrics } from '../../../lib/metrics/metrics.ts';
import { MirrorRoom } from '../../../lib/mirror/mirrorRoom.ts';
import type { ResponseStore } from '../../../lib/store/store.ts';
import { type Limits, MAX_MIRRORED, type ServiceLimits } from '../limits.ts';
import type { ServiceParts } from '../parts.ts';
import type { Transports } from '../tls/transports.ts';
import type { ServiceReplicas } from './replicas.ts';

export interface ServicePartsOptions {
  readonly settings: Settings;
  readonly responses: ResponseStore;
  readonly limits: Pick<Limits, 'services'>;
  readonly metrics: Metrics;
  readonly transports: Transports;
  readonly logStoreError: (error: Error) => void;
  /** Bounds the content that waits to be copied, of all services together. */
  readonly mirrored: GatheringRoom;
  readonly clock: Clock;
}

/** What the requests of one service meet, those of all its routes together. */
export function partsOfService(
  service: Service,
  replicas: ServiceReplicas,
  { settings, responses, limits, metrics, transports, logStoreError, mirrored, clock }: ServicePartsOptions,
): ServiceParts {
  const { pool } = replicas;
  const own = limits.services.get(service.path) as ServiceLimits;
  return {
    settings: service,
    replicas,
    transport: transports.of(service),
    hedgings: new Hedgings({ pool, clock }),
    retryBudget: new RetryBudget(),
    absence: new Absence({ pool, deadlineMs: service.requestTimeoutMs, clock }),
    mirrorRoom: new MirrorRoom({ maxCopies: MAX_MIRRORED, held: mirrored }),
    cache: new ServiceCache({
      store: responses,
      staleIfErrorMs: settings.cacheStaleIfErrorMs,
      onError: (error) => {
        metrics.cacheErrors.count(service.path);
        logStoreError(error);
      },
      clock,
    }),
    limits: own,
    permits: own,
    publicPath: service.path,
  };
}
