import type { ServiceName } from '../../../playground/catalogue.ts';

/** A service of the stack as its compose files know it. */
export interface StackService {
  readonly name: ServiceName;
  /** What it registers as. */
  readonly registryName: string;
  /** What its compose service is called, by which it is resolved. */
  readonly composeNames: readonly string[];
  readonly port: number;
  /** Java services register the plain address of their container instead of the name of their task. */
  readonly registersAddress: boolean;
}

/** The ten services, from the stack's compose files. */
export const STACK_SERVICES: readonly StackService[] = [
  service('userManagement', 'user-management', ['user-management'], 8080),
  service('notification', 'notification', ['notification-service'], 8081),
  service('teaManagement', 'tea-management', ['tm-service'], 8082),
  service('communication', 'communication', ['c-service'], 8083),
  service('booking', 'cab-booking', ['cab-booking-service'], 8084, true),
  service('checkin', 'checkin', ['checkin-service'], 8085, true),
  service('lostFound', 'lost-found', ['lost-found-service', 'lostFound-service'], 8086),
  service('budgeting', 'budgeting', ['budgeting-service'], 8087),
  service('fundRaising', 'fund-raising', ['fr-service'], 8088),
  service('sharing', 'sharing', ['s-service'], 8089),
];

export function stackServiceOf(name: string): StackService {
  const found = STACK_SERVICES.find((one) => one.name === name);
  if (!found) throw new Error(`the stack has no ${name}`);
  return found;
}

function service(
  name: ServiceName,
  registryName: string,
  composeNames: readonly string[],
  port: number,
  registersAddress = false,
): StackService {
  return { name, registryName, composeNames, port, registersAddress };
}
