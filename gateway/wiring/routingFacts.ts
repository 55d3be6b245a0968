import type { Settings } from '../../config/config.ts';
import { allRoutes } from '../../config/routes/complete.ts';
import { revokePaths } from '../../config/sections/revokePaths.ts';
import type { Route } from '../../config/sections/services.ts';
import type { RevokingPath } from '../../lib/auth/revocation/revokePaths.ts';

/** What holds of all routes together. It is found out once: there may be ten thousand chains that ask for it. */
export interface RoutingFacts {
  readonly revokePaths: readonly RevokingPath[];
  /** The paths of services of which some responses at least are compressed. */
  readonly compressed: ReadonlySet<string>;
}

export function routingFacts(settings: Settings): RoutingFacts {
  const { services } = settings;
  const routes = allRoutes(settings).filter(({ settings: { compress } }) => compress !== undefined);
  const ofServices = services.filter(({ compress }) => compress !== undefined).map(({ path }) => path);
  return {
    revokePaths: revokePaths(settings),
    compressed: new Set([...ofServices, ...routes.flatMap(servicesOf)]),
  };
}

/** The services that get its requests, each some of them. */
function servicesOf({ action, sides = [] }: Route): string[] {
  return action.kind === 'forward' ? [action.service, ...sides.map(({ service }) => service)] : [];
}
