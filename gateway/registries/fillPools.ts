import type { ListedReplica } from '../../lib/loadbalancer/listing.ts';
import type { ListedService } from '../registry.ts';
import type { RegistryLog } from '../registryLog.ts';

/** Hands each service what is listed under its name or one of its aliases. Other entries are somebody else's. */
export function fillPools(services: readonly ListedService[], log: RegistryLog) {
  return (listed: readonly ListedReplica[]): void => {
    for (const [{ settings, replicas }, ofService] of byService(services, listed)) {
      const before = replicas.pool.replicas;
      replicas.update(ofService);
      log.listed(settings.path, before, replicas.pool.replicas);
    }
  };
}

function byService(
  services: readonly ListedService[],
  listed: readonly ListedReplica[],
): Map<ListedService, ListedReplica[]> {
  const byName = new Map<string, ListedService>();
  for (const service of services) {
    for (const name of [service.settings.name, ...service.settings.aliases]) byName.set(name, service);
  }
  const found = new Map<ListedService, ListedReplica[]>();
  for (const replica of listed) {
    const service = byName.get(replica.name);
    if (!service) continue;
    const replicas = found.get(service);
    if (replicas) replicas.push(replica);
    else found.set(service, [replica]);
  }
  return found;
}
