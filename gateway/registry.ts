import type { Settings } from '../config/config.ts';
import type { Clock } from '../lib/clock/clock.ts';
import { RegistryCalls } from '../lib/loadbalancer/callbacks.ts';
import { Discovery } from '../lib/loadbalancer/discovery.ts';
import type { ListedReplica } from '../lib/loadbalancer/listing.ts';
import { RegistryClient } from '../lib/loadbalancer/registryClient.ts';
import type { Logger } from '../lib/logging/logger.ts';
import type { Metrics } from '../lib/metrics/metrics.ts';
import type { ServiceParts } from './parts.ts';
import { registryLog } from './registryLog.ts';

/** At the end, what is still to be told may take so long. */
const FLUSH_MS = 1000;

/** Where replicas come from and who is told of them. */
export interface Registry {
  /** Whether a registry is configured. */
  readonly enabled: boolean;
  /** Whether it has been asked once, with whatever result. Requests can then be taken. */
  readonly asked: boolean;
  start(): void;
  /** Tells it what is still to be told, within a second. */
  stop(): Promise<void>;
  /** One more request was sent to the replica. Never waits. */
  increment(replicaId: string): void;
  /** The replica does not work. Never waits. */
  deregister(replicaId: string): void;
}

/** Static upstreams alone. */
const NO_REGISTRY: Registry = {
  enabled: false,
  asked: true,
  start() {},
  async stop() {},
  increment() {},
  deregister() {},
};

export interface RegistryOptions {
  readonly settings: Settings;
  readonly services: readonly ServiceParts[];
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly clock: Clock;
}

/** Asks the registry of the settings, if there is one, and fills the pools from what it lists. */
export function createRegistry(options: Readonly<RegistryOptions>): Registry {
  const { serviceDiscoveryUrl } = options.settings;
  return serviceDiscoveryUrl === undefined ? NO_REGISTRY : httpRegistry(serviceDiscoveryUrl, options);
}

function httpRegistry(
  url: string,
  { settings, services, metrics, logger, clock }: RegistryOptions,
): Registry {
  const log = registryLog(logger, clock);
  const client = new RegistryClient({
    url,
    timeoutMs: settings.requestTimeoutMs,
    incrementTemplate: settings.serviceDiscoveryIncrement,
    deregisterTemplate: settings.serviceDiscoveryDeregister,
    clock,
  });
  const calls = new RegistryCalls({
    client,
    clock,
    onDeregistered: log.deregistered,
    onDropped: (count) => metrics.registryCallsDropped.countMany(count),
    onError: (error) => {
      metrics.registryErrors.count('update');
      log.failed(error);
    },
  });
  const discovery = new Discovery({
    client,
    clock,
    intervalMs: settings.serviceRefreshIntervalMs,
    onListing: (listed) => {
      for (const [service, replicas] of byService(services, listed)) {
        const before = service.replicas.pool.replicas;
        service.replicas.update(replicas);
        log.listed(service.settings.path, before, service.replicas.pool.replicas);
      }
    },
    onSkipped: log.skipped,
    onError: (error) => {
      metrics.registryErrors.count('list');
      log.failed(error);
    },
  });
  return {
    enabled: true,
    get asked() {
      return discovery.firstRoundOver;
    },
    start: () => void discovery.start(),
    async stop() {
      discovery.stop();
      await calls.flush(FLUSH_MS);
      client.close();
    },
    increment: (id) => calls.increment(id),
    deregister(id) {
      log.deregistering(client.deregisterUrl(id));
      calls.deregister(id);
    },
  };
}

/** What is listed of each service, by its name or one of its aliases. Other entries are somebody else's. */
function byService(
  services: readonly ServiceParts[],
  listed: readonly ListedReplica[],
): Map<ServiceParts, ListedReplica[]> {
  const byName = new Map<string, ServiceParts>();
  for (const service of services) {
    for (const name of [service.settings.name, ...service.settings.aliases]) byName.set(name, service);
  }
  const found = new Map<ServiceParts, ListedReplica[]>();
  for (const replica of listed) {
    const service = byName.get(replica.name);
    if (!service) continue;
    const replicas = found.get(service);
    if (replicas) replicas.push(replica);
    else found.set(service, [replica]);
  }
  return found;
}
