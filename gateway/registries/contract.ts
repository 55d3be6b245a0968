import type { Settings } from '../../config/config.ts';
import type { Service } from '../../config/sections/services.ts';
import type { Clock } from '../../lib/clock/clock.ts';
import type { Registered } from '../../lib/loadbalancer/registry/registered.ts';
import type { Logger } from '../../lib/logging/logger.ts';
import type { Metrics } from '../../lib/metrics/metrics.ts';
import type { ServiceReplicas } from '../wiring/replicas.ts';

/** Where replicas come from and who is told of them. Each kind is a file in `registries/`. */
export interface Registry {
  /** Whether it is told of requests and trips. */
  readonly takesCalls: boolean;
  /** Whether it has been asked once, with whatever result. Requests can then be taken. */
  readonly asked: boolean;
  /** Names of its latest listing that no service has, each with the number of its entries. */
  readonly unknownNames: ReadonlyMap<string, number>;
  /** Resolves when it has been asked once; never rejects. */
  start(): Promise<void>;
  /** Tells it what is still to be told, within a second. */
  stop(): Promise<void>;
  /** One more request was sent to a replica that it lists. Never waits. */
  increment(replica: Registered): void;
  /** The replica does not work. Never waits. */
  deregister(replica: Registered): void;
}

/** Of whoever lists nothing but what it is asked for. */
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
