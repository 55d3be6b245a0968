import type { ServiceName } from '../catalogue.ts';
import type { CollectionsName } from './collections.ts';
import type { Service, ServiceFactory } from './contract.ts';

/** Each process runs one of them, and loads no more than that. */
export const SERVICES: Readonly<Record<ServiceName, ServiceFactory>> = {
  userManagement: async (env) => (await import('./users/userManagement.ts')).userManagement(env),
  notification: async () => (await import('./notification.ts')).notification(),
  teaManagement: async () => (await import('./teaManagement.ts')).teaManagement(),
  communication: async () => (await import('./communication.ts')).communication(),
  booking: () => collectionsOf('booking'),
  checkin: () => collectionsOf('checkin'),
  lostFound: () => collectionsOf('lostFound'),
  budgeting: async () => (await import('./budgeting.ts')).budgeting(),
  fundRaising: () => collectionsOf('fundRaising'),
  sharing: () => collectionsOf('sharing'),
};

async function collectionsOf(service: CollectionsName): Promise<Service> {
  return (await import('./collections.ts')).collections(service);
}
