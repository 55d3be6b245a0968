import type { RouteMatch, Spelling } from '../../lib/routing/route.ts';
import { isTighter, type PolicySettings, settingsOf } from '../policies/policies.ts';
import type { Environment } from '../policies/policy.ts';
import type { Route, RouteDefinition, Service, ServiceDefinition } from '../sections/services.ts';

/** What the gateway serves. */
export interface Routing {
  readonly services: readonly Service[];
  /** Routes that do not begin with a service's path, or ask for a host. */
  readonly routes: readonly Route[];
}

/** Definitions with everything they leave out filled in. */
export function completeRouting(
  services: readonly ServiceDefinition[],
  routes: readonly RouteDefinition[],
  environment: Environment,
): Routing {
  const free = routes.map((route) => withSettings(route, environment));
  const isFree = free.length > 0;
  // A free-standing route may be for any path, so that what it opens stands beside every service.
  const isOpen =
    isFree && [...free, ...services.flatMap((service) => ofService(service, environment))].some(opens);
  const complete = services.map((service) =>
    completeService(service, environment, isFree ? isOpen : undefined),
  );
  const outer = new Map(complete.map((service) => [service.path, service]));
  return {
    services: complete,
    routes: free.map((route) => {
      const service = route.action.kind === 'forward' ? outer.get(route.action.service) : undefined;
      return toRoute(route, service ?? route.settings, isOpen);
    }),
  };
}

/**
 * @param isOpen whether anything is open without a token; undefined: nothing but this service's own routes can be
 */
export function completeService(
  definition: ServiceDefinition,
  environment: Environment,
  isOpen?: boolean,
): Service {
  const {
    name,
    path,
    upstreams = [],
    basePath = '',
    aliases = [],
    stripPrefix = true,
    says = {},
  } = definition;
  const settings = settingsOf(says, environment);
  const own = ofService(definition, environment);
  const isRouted = own.length > 1 || isOpen !== undefined;
  return {
    ...{ name, path, upstreams, basePath, aliases, stripPrefix },
    ...settings,
    routes: isRouted ? own.map((route) => toRoute(route, settings, isOpen ?? own.some(opens))) : [],
  };
}

interface WithSettings extends RouteDefinition {
  readonly settings: PolicySettings;
}

/** The routes of a service, and one that is all the rest of it, `/budgeting/**`. */
function ofService(
  { path, stripPrefix = true, says = {}, routes = [] }: ServiceDefinition,
  environment: Environment,
): WithSettings[] {
  const rest = { path: `${path}/**` };
  const isThere = routes.some(({ match }) => match.path === rest.path && Object.keys(match).length === 1);
  const cut = stripPrefix ? path : '';
  const action = { kind: 'forward', service: path, cut, rewrite: undefined } as const;
  const all = isThere ? routes : [...routes, { match: rest, says, action }];
  return all.map((route) => withSettings(route, environment));
}

function withSettings(route: RouteDefinition, environment: Environment): WithSettings {
  return { ...route, settings: settingsOf(route.says, environment) };
}

function opens({ action, settings }: WithSettings): boolean {
  return action.kind === 'forward' && settings.auth !== 'required';
}

function toRoute(route: WithSettings, outer: PolicySettings, isOpen: boolean): Route {
  const { name, match, action, settings } = route;
  return {
    name: name ?? nameOf(match),
    match,
    action,
    settings,
    spelling: spellingOf(route, outer, isOpen),
  };
}

/**
 * What keeps out is for every spelling of its path, what lets more in for its own alone. Where anything is open without a token,
 * whatever asks for one keeps out, the service itself included.
 */
function spellingOf({ action, settings }: WithSettings, outer: PolicySettings, isOpen: boolean): Spelling {
  if (action.kind !== 'forward') return action.kind === 'respond' ? 'any' : 'exact';
  if (settings.auth !== 'required') return 'exact';
  return isOpen || isTighter(settings, outer) ? 'any' : 'exact';
}

/** `GET,POST api.faf.example/orders/:id x-version=2`. */
export function nameOf({ host = '', path, methods, headers = {}, priority }: RouteMatch): string {
  const fields = Object.entries(headers).map(([field, value]) => ` ${field}=${value}`);
  return `${methods ? `${methods.join(',')} ` : ''}${host}${path}${fields.join('')}${priority ? ` priority ${priority}` : ''}`;
}
