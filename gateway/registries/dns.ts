import type { Service } from '../../config/sections/services.ts';
import { DnsSource } from '../../lib/loadbalancer/registry/sources/dnsSource.ts';
import { registryLog } from '../logs/registryLog.ts';
import { NO_UNKNOWN_NAMES, type Registry, type RegistryOptions } from './contract.ts';
import { discover } from './discover.ts';
import { fillPools } from './fillPools.ts';
import { namesOf } from './namesOf.ts';

const HTTP_PORT = 80;

/** The parts of `dns://tasks.{name}-service:8080?server=10.0.0.2`. */
export interface DnsAddress {
  readonly pattern: string;
  readonly port: number | undefined;
  readonly server: string | undefined;
}

/** Finds replicas by the container engine's DNS, asked every `SERVICE_REFRESH_INTERVAL`. */
export function dnsRegistry({ pattern, port, server }: DnsAddress, options: RegistryOptions): Registry {
  const { settings, services, metrics, logger, clock } = options;
  const log = registryLog(logger, clock);
  const source = new DnsSource({
    pattern,
    server,
    services: settings.services.map((service) => {
      return { name: service.name, names: namesOf(service), port: port ?? portOf(service) };
    }),
    timeoutMs: settings.requestTimeoutMs,
  });
  const intervalMs = settings.serviceRefreshIntervalMs;
  // Replicas are listed under the service's own name, whichever of its names was looked up.
  const find = (name: string) => settings.services.find((service) => service.name === name);
  const onListing = fillPools({ find, services, log });
  const discovery = discover({ source, intervalMs, onListing, metrics, log, clock });
  return {
    takesCalls: false,
    unknownNames: NO_UNKNOWN_NAMES,
    get asked() {
      return discovery.firstRoundOver;
    },
    start: () => discovery.start(),
    async stop() {
      discovery.stop();
      source.close();
    },
    increment() {},
    deregister() {},
  };
}

/** The port of the replicas: that of the service's first static upstream. */
function portOf({ upstreams: [upstream] }: Service): number {
  return Number(upstream === undefined ? '' : new URL(upstream).port) || HTTP_PORT;
}
