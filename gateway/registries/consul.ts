import { ConsulSource } from '../../lib/loadbalancer/consulSource.ts';
import type { Registry, RegistryOptions } from '../registry.ts';
import { listOnly } from './listOnly.ts';

/** Between two blocking queries: a service that changes all the time is not asked after all the time. */
const PAUSE_MS = 100;
const RETRY_MS = 1000;

/** Replicas by Consul's health API: changes are known at once. */
export function consulRegistry(url: string, options: RegistryOptions): Registry {
  const { settings } = options;
  const sources = settings.services.map(
    ({ name }) =>
      new ConsulSource({
        url,
        service: name,
        timeoutMs: settings.requestTimeoutMs,
        token: settings.serviceDiscoveryToken,
      }),
  );
  return listOnly({ ...options, sources, intervalMs: PAUSE_MS, retryMs: RETRY_MS });
}
