/**
 * The ten services of the original stack, in the order of their documented ports: the first listens on the
 * base port (8080), each following one on the next.
 */
export const CATALOGUE = [
  { name: 'userManagement', registryName: 'user-management' },
  { name: 'notification', registryName: 'notification' },
  { name: 'teaManagement', registryName: 'tea-management' },
  { name: 'communication', registryName: 'communication' },
  { name: 'booking', registryName: 'cab-booking' },
  { name: 'checkin', registryName: 'checkin' },
  { name: 'lostFound', registryName: 'lost-found' },
  { name: 'budgeting', registryName: 'budgeting' },
  { name: 'fundRaising', registryName: 'fund-raising' },
  { name: 'sharing', registryName: 'sharing' },
] as const satisfies readonly { readonly name: string; readonly registryName: string }[];

/** A service by the path it has on the gateway, without the slash. */
export type ServiceName = (typeof CATALOGUE)[number]['name'];

export const SERVICE_NAMES: readonly ServiceName[] = CATALOGUE.map(({ name }) => name);

/** What the service is called in the registry, for example `user-management`. */
export function registryNameOf(service: ServiceName): string {
  return CATALOGUE.find(({ name }) => name === service)?.registryName ?? service;
}
