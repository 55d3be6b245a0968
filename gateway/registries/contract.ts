import type { Settings } from '../../config/config.ts';
import type { Service } from '../../config/sections/services.ts';
import type { Clock } from '../../lib/clock/clock.ts';
import type { Registered } from '../../lib/loadbalancer/registry/registered.ts';
import type { Logger } from '../../lib/logging/logger.ts';
import type { Metrics } from '../../lib/metrics/metrics.ts';
import type { ServiceReplicas } from '../wiring/services/replicas.ts';

/** A registry, from which replicas come and which is told about them. Each kind is a file in `registries/`. */
export interface Registry {
  /** Whether it is told of requests and of breakers that open. */
  readonly takesCalls: boolean;
  /** Whether it was asked once, whatever the result. Then the gateway can take requests. */
  readonly asked: boolean;
  /** Names in its latest listing that no service has, each with the number of its entries. */
  readonly unknownNames: ReadonlyMap<string, number>;
  /** Resolves when it was asked once; never rejects. */
  start(): Promise<void>;
  /** Makes the calls that are left, within a second. */
  stop(): Promise<void>;
  /** Tells it that a request was sent to a replica. Returns at once. */
  increment(replica: Registered): void;
  /** Tells it that a replica does not work. Returns at once. */
  deregister(replica: Registered): void;
}

/** For registries that are asked by name and so list nothing unknown. */
export const NO_UNKNOWN_NAMES: ReadonlyMap<string, number> = new Map();

/** A service whose replicas are listed. */
export interface ListedService {
  readonly settings: Service;
  readonly replicas: Pick<ServiceReplicas, 'pool' | 'update'>;
}

export interface RegistryOptions {
  readonly settings: Settings;
  readonly services: readonly ListedService[];
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly clock: Clock;
}
