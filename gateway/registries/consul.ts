import type { Service } from '../../config/sections/services.ts';
import { ConsulCatalog } from '../../lib/loadbalancer/registry/sources/consulCatalog.ts';
import { ConsulSource } from '../../lib/loadbalancer/registry/sources/consulSource.ts';
import { registryLog } from '../logs/registryLog.ts';
import { ConsulService } from './consulService.ts';
import type { Registry, RegistryOptions } from './contract.ts';
import { discover } from './discover.ts';
import { fillPools } from './fillPools.ts';
import { nearestName, serviceNames } from './namesOf.ts';
import { unknownNames } from './unknownNames.ts';

/** Pause between two blocking queries, so that a service that changes constantly is not asked for constantly. */
const PAUSE_MS = 100;
const RETRY_MS = 1000;

/**
 * Finds replicas by Consul's health API, which reports changes at once. Its catalog says by which names it has a
 * service.
 */
export function consulRegistry(url: string, options: RegistryOptions): Registry {
  const { settings, services: pools, metrics, logger, clock } = options;
  const consul = { url, timeoutMs: settings.requestTimeoutMs, token: settings.serviceDiscoveryToken };
  const log = registryLog(logger, clock);
  const looking = { intervalMs: PAUSE_MS, retryMs: RETRY_MS, metrics, log, clock };
  const services = settings.services.map((service) => {
    return new ConsulService({
      service,
      sourceOf: (consulName) => new ConsulSource({ ...consul, service: service.name, consulName }),
      discover: (source, onListing) => discover({ ...looking, source, onListing }),
      onListing: fillPools({ find: () => service, services: pools, log }),
    });
  });
  const names = serviceNames(settings);
  const nearest = (name: string) => nearestName(name, settings);
  const unknown = unknownNames((fresh) => log.unknown(fresh, nearest));
  let likely = new Map<string, boolean>();

  /**
   * Consul lists everybody's services, so only names that resemble one of ours are reported. Each name is judged once.
   */
  function likeOurs(listed: readonly string[]): string[] {
    likely = new Map(listed.map((name) => [name, likely.get(name) ?? nearest(name) !== undefined]));
    return listed.filter((name) => likely.get(name));
  }

  function follow(listed: readonly string[]): void {
    const byService = Map.groupBy<Service | undefined, string>(listed, (name) => names.find(name));
    for (const [at, service] of settings.services.entries()) {
      void services[at]?.follow(byService.get(service) ?? []);
    }
    unknown.listed(likeOurs(byService.get(undefined) ?? []));
  }

  const source = new ConsulCatalog(consul);
  const catalog = discover({ ...looking, source, onListing: follow });
  return {
    takesCalls: false,
    get asked() {
      return catalog.firstRoundOver && services.every(({ asked }) => asked);
    },
    get unknownNames() {
      return unknown.entries;
    },
    async start() {
      // The catalog is only needed for other names: a service is found by its own name without it.
      await Promise.all([catalog.start(), ...services.map((service) => service.follow([]))]);
    },
    async stop() {
      catalog.stop();
      source.close();
      for (const service of services) service.stop();
    },
    increment() {},
    deregister() {},
  };
}
