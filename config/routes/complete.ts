import type { RouteMatch, Spelling } from '../../lib/routing/route.ts';
import { type Guard, keepsOutAsMuch } from '../policies/auth/strictness.ts';
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
  // A free-standing route may be for any path, so that what it lets in stands beside every service.
  const guards = isFree
    ? guardsOf([...free, ...services.flatMap((service) => ofService(service, environment))])
    : undefined;
  const complete = services.map((service) => completeService(service, environment, guards));
  const outer = new Map(complete.map((service) => [service.path, service]));
  return {
    services: complete,
    routes: free.map((route) => {
      const service = route.action.kind === 'forward' ? outer.get(route.action.service) : undefined;
      return toRoute(route, service ?? route.settings, guards ?? []);
    }),
  };
}

/**
 * @param guards of all routes that a request for its paths may meet; undefined: only its own
 */
export function completeService(
  definition: ServiceDefinition,
  environment: Environment,
  guards?: readonly Guard[],
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
  const isRouted = own.length > 1 || guards !== undefined;
  return {
    ...{ name, path, upstreams, basePath, aliases, stripPrefix },
    ...settings,
    routes: isRouted ? own.map((route) => toRoute(route, settings, guards ?? guardsOf(own))) : [],
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

/** Who is let in by those that lead to a service. */
function guardsOf(routes: readonly WithSettings[]): Guard[] {
  return routes.flatMap(({ action, settings }) => (action.kind === 'forward' ? settings : []));
}

function toRoute(route: WithSettings, outer: PolicySettings, guards: readonly Guard[]): Route {
  const { name, match, action, settings } = route;
  return {
    name: name ?? nameOf(match),
    match,
    action,
    settings,
    spelling: spellingOf(route, outer, guards),
  };
}

/**
 * What keeps out is for every spelling of its path, what lets more in for its own alone. Whoever keeps out somebody whom another
 * route lets in keeps out, the service itself included.
 */
function spellingOf(
  { action, settings }: WithSettings,
  outer: PolicySettings,
  guards: readonly Guard[],
): Spelling {
  if (action.kind !== 'forward') return action.kind === 'respond' ? 'any' : 'exact';
  if (guards.some((other) => !keepsOutAsMuch(other, settings))) return 'any';
  return keepsOutAsMuch(settings, outer) && isTighter(settings, outer) ? 'any' : 'exact';
}

/** `GET,POST api.faf.example/orders/:id x-version=2`. */
export function nameOf({ host = '', path, methods, headers = {}, priority }: RouteMatch): string {
  const fields = Object.entries(headers).map(([field, value]) => ` ${field}=${value}`);
  return `${methods ? `${methods.join(',')} ` : ''}${host}${path}${fields.join('')}${priority ? ` priority ${priority}` : ''}`;
}
