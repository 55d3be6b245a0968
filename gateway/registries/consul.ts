import type { Service } from '../../config/sections/services.ts';
import type { Discovery } from '../../lib/loadbalancer/registry/discovery.ts';
import type { ServiceNames } from '../../lib/loadbalancer/registry/serviceNames.ts';
import { ConsulCatalog } from '../../lib/loadbalancer/registry/sources/consulCatalog.ts';
import { ConsulSource } from '../../lib/loadbalancer/registry/sources/consulSource.ts';
import { registryLog } from '../logs/registryLog.ts';
import { ConsulService } from './consulService.ts';
import type { Registry, RegistryOptions } from './contract.ts';
import { discover } from './discover.ts';
import { fillPools } from './fillPools.ts';
import { nearestName, serviceNames } from './namesOf.ts';
import { type UnknownNames, unknownNames } from './unknownNames.ts';

/** Pause between two blocking queries, so that a service that changes constantly is not asked for constantly. */
const PAUSE_MS = 100;
const RETRY_MS = 1000;

/**
 * Finds replicas by Consul's health API, which reports changes at once. Its catalog says by which names it has a
 * service.
 */
export function consulRegistry(url: string, options: RegistryOptions): Registry {
  return new ConsulRegistry(url, options);
}

class ConsulRegistry implements Registry {
  readonly takesCalls = false;
  readonly #settings: RegistryOptions['settings'];
  /** In the order of the settings. */
  readonly #services: readonly ConsulService[];
  readonly #source: ConsulCatalog;
  readonly #catalog: Discovery<string>;
  readonly #names: ServiceNames<Service>;
  readonly #unknown: UnknownNames;
  /** By each name of the latest listing, whether it resembles one of ours. */
  #likely: ReadonlyMap<string, boolean> = new Map();

  constructor(url: string, { settings, services: pools, metrics, logger, clock }: RegistryOptions) {
    const consul = { url, timeoutMs: settings.requestTimeoutMs, token: settings.serviceDiscoveryToken };
    const log = registryLog(logger, clock);
    const looking = { intervalMs: PAUSE_MS, retryMs: RETRY_MS, metrics, log, clock };
    this.#settings = settings;
    this.#services = settings.services.map((service) => {
      return new ConsulService({
        service,
        sourceOf: (consulName) => new ConsulSource({ ...consul, service: service.name, consulName }),
        discover: (source, onListing) => discover({ ...looking, source, onListing }),
        onListing: fillPools({ find: () => service, services: pools, log }),
      });
    });
    this.#names = serviceNames(settings);
    this.#unknown = unknownNames((fresh) => log.unknown(fresh, (name) => nearestName(name, settings)));
    this.#source = new ConsulCatalog(consul);
    this.#catalog = discover({
      ...looking,
      source: this.#source,
      onListing: (listed) => this.#follow(listed),
    });
  }

  get asked(): boolean {
    return this.#catalog.firstRoundOver && this.#services.every(({ asked }) => asked);
  }

  get unknownNames(): ReadonlyMap<string, number> {
    return this.#unknown.entries;
  }

  async start(): Promise<void> {
    // The catalog is only needed for other names: a service is found by its own name without it.
    await Promise.all([this.#catalog.start(), ...this.#services.map((service) => service.follow([]))]);
  }

  async stop(): Promise<void> {
    this.#catalog.stop();
    this.#source.close();
    for (const service of this.#services) service.stop();
  }

  increment(): void {}

  deregister(): void {}

  #follow(listed: readonly string[]): void {
    const byService = Map.groupBy<Service | undefined, string>(listed, (name) => this.#names.find(name));
    for (const [at, service] of this.#settings.services.entries()) {
      void this.#services[at]?.follow(byService.get(service) ?? []);
    }
    this.#unknown.listed(this.#likeOurs(byService.get(undefined) ?? []));
  }

  /**
   * Consul lists everybody's services, so only names that resemble one of ours are reported. Each name is judged once.
   */
  #likeOurs(listed: readonly string[]): string[] {
    const known = this.#likely;
    const isLike = (name: string) => known.get(name) ?? nearestName(name, this.#settings) !== undefined;
    const likely = new Map(listed.map((name) => [name, isLike(name)]));
    this.#likely = likely;
    return listed.filter((name) => likely.get(name));
  }
}
