import type { Spelling } from '../../lib/routing/route.ts';
import { isTighter, type PolicySettings, settingsOf } from '../policies/policies.ts';
import type { Environment } from '../policies/policy.ts';
import type { RouteDefinition, Service, ServiceDefinition, ServiceRoute } from './services.ts';

/** A definition with everything it leaves out filled in. */
export function completeService(definition: ServiceDefinition, environment: Environment): Service {
  const { name, path, upstreams = [], aliases = [], stripPrefix = true, says = {}, routes = [] } = definition;
  const settings = settingsOf(says, environment);
  return {
    ...{ name, path, upstreams, aliases, stripPrefix },
    ...settings,
    routes: completeRoutes(path, settings, routes, environment),
  };
}

/**
 * The routes of a service, and one that is all the rest, `/budgeting/**`; none where it has none of its own.
 */
function completeRoutes(
  path: string,
  service: PolicySettings,
  definitions: readonly RouteDefinition[],
  environment: Environment,
): ServiceRoute[] {
  if (definitions.length === 0) return [];
  const settings = definitions.map(({ says }) => settingsOf(says, environment));
  const isOpen = [service, ...settings].some(({ auth }) => auth !== 'required');
  const routes = definitions.map(({ match }, index): ServiceRoute => {
    const own = settings[index] as PolicySettings;
    return { name: nameOf(match), match, spelling: spellingOf(own, service, isOpen), settings: own };
  });
  const rest = { path: `${path}/**` };
  const isThere = routes.some(({ match }) => match.path === rest.path && Object.keys(match).length === 1);
  if (isThere) return routes;
  const spelling = spellingOf(service, service, isOpen);
  return [...routes, { name: nameOf(rest), match: rest, spelling, settings: service }];
}

/**
 * What keeps out is for every spelling of its path, what lets more in for its own alone. Where anything is open without a token,
 * whatever asks for one keeps out, the service itself included.
 */
function spellingOf(own: PolicySettings, outer: PolicySettings, isOpen: boolean): Spelling {
  if (own.auth !== 'required') return 'exact';
  return isOpen || isTighter(own, outer) ? 'any' : 'exact';
}

/** `GET,POST api.faf.example/orders/:id`. */
function nameOf({ host = '', path, methods }: RouteDefinition['match']): string {
  return `${methods ? `${methods.join(',')} ` : ''}${host}${path}`;
}
