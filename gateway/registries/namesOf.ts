import type { Settings } from '../../config/config.ts';
import { suggest } from '../../config/report/suggest.ts';
import type { Service } from '../../config/sections/services.ts';
import { nameSpellings, ServiceNames } from '../../lib/loadbalancer/registry/serviceNames.ts';

/** All names of a service, its own first. */
export function namesOf({ name, aliases }: Pick<Service, 'name' | 'aliases'>): readonly string[] {
  return [name, ...aliases];
}

/** Finds a service by the name that a registry has for it. */
export function serviceNames({
  services,
  serviceDiscoveryStack: stack,
}: Pick<Settings, 'services' | 'serviceDiscoveryStack'>): ServiceNames<Service> {
  return new ServiceNames({
    services: services.map((service) => [service, namesOf(service)] as const),
    stack,
  });
}

/** The service's name of which an unknown name is probably a misspelling; undefined when there is none. */
export function nearestName(
  name: string,
  { services, serviceDiscoveryStack }: Pick<Settings, 'services' | 'serviceDiscoveryStack'>,
): string | undefined {
  const known = services.flatMap(namesOf);
  for (const spelling of nameSpellings(name, serviceDiscoveryStack)) {
    const nearest = suggest(spelling, known);
    if (nearest !== undefined) return nearest;
  }
  return undefined;
}
