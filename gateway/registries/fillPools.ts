import type { Service } from '../../config/sections/services.ts';
import { replicaKey } from '../../lib/loadbalancer/instance.ts';
import type { ListedReplica } from '../../lib/loadbalancer/registry/listing.ts';
import { portOf } from '../../lib/loadbalancer/registry/registered.ts';
import type { RegistryLog } from '../logs/registryLog.ts';
import type { ListedService } from './contract.ts';

export interface FillPoolsOptions {
  /** Finds the service that has this name in the registry. */
  readonly find: (name: string) => Service | undefined;
  /** The services that have pools. */
  readonly services: readonly ListedService[];
  readonly log: RegistryLog;
  /** Called with each listing's names that no service has, one for each entry. */
  readonly onUnknown?: ((names: readonly string[]) => void) | undefined;
}

/** Gives each service the replicas that are listed under one of its names. Other entries are ignored. */
export function fillPools({ find, services, log, onUnknown = () => {} }: FillPoolsOptions) {
  return (listed: readonly ListedReplica[]): void => {
    const unknown: string[] = [];
    for (const [service, ofService] of byService(listed, find)) {
      const found = service && services.find(({ settings }) => settings === service);
      if (found) update(found, ofService, log);
      else for (const { name } of ofService) unknown.push(name);
    }
    onUnknown(unknown);
  };
}

function update(
  { settings, replicas }: ListedService,
  listed: readonly ListedReplica[],
  log: RegistryLog,
): void {
  const before = replicas.pool.replicas;
  replicas.update(settings.tls ? listed.map(overTls) : listed);
  log.listed(settings.path, before, replicas.pool.replicas);
}

/**
 * A registry says where a replica is, and its service how it is asked: one with `tls` is never asked in plain HTTP, even if the
 * registry says http.
 */
function overTls(replica: ListedReplica): ListedReplica {
  const { url, registered } = replica;
  if (url.protocol === 'https:') return replica;
  const secure = new URL(`https://${url.hostname}:${portOf(url)}`);
  return { ...replica, url: secure, key: replicaKey(registered.host, secure) };
}

/** Groups a listing by service. Each name is looked up once, however many entries it has. */
function byService(listed: readonly ListedReplica[], find: FillPoolsOptions['find']) {
  const found = new Map<string, Service | undefined>();
  return Map.groupBy(listed, ({ name }) => {
    if (!found.has(name)) found.set(name, find(name));
    return found.get(name);
  });
}
