import type { Service } from '../../config/services.ts';
import { DnsSource } from '../../lib/loadbalancer/dnsSource.ts';
import type { Registry, RegistryOptions } from '../registry.ts';
import { listOnly } from './listOnly.ts';

const HTTP_PORT = 80;

/** What `dns://tasks.{name}-service:8080?server=10.0.0.2` says. */
export interface DnsAddress {
  readonly pattern: string;
  readonly port: number | undefined;
  readonly server: string | undefined;
}

/** Replicas by the engine's own DNS, asked every `SERVICE_REFRESH_INTERVAL`. */
export function dnsRegistry({ pattern, port, server }: DnsAddress, options: RegistryOptions): Registry {
  const { settings } = options;
  const source = new DnsSource({
    pattern,
    server,
    services: settings.services.map((service) => ({ name: service.name, port: port ?? portOf(service) })),
    timeoutMs: settings.requestTimeoutMs,
  });
  return listOnly({ ...options, sources: [source], intervalMs: settings.serviceRefreshIntervalMs });
}

/** Where the service's static upstreams listen its other replicas do too. */
function portOf({ upstreams: [upstream] }: Service): number {
  return Number(upstream === undefined ? '' : new URL(upstream).port) || HTTP_PORT;
}
