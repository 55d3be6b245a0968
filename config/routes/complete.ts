import { createHash } from 'node:crypto';
import type { RouteMatch, Spelling } from '../../lib/routing/route.ts';
import { MAX_DURATION_MS } from '../kinds/durations.ts';
import { isTighter, type PolicySettings, type Said, settingsOf } from '../policies/policies.ts';
import type { BreakerTerms, Environment } from '../policies/policy.ts';
import { type Guard, keepsOutAsMuch } from '../policies/strictness.ts';
import type {
  Route,
  RouteDefinition,
  RouteSide,
  Service,
  ServiceDefinition,
  SideDefinition,
} from '../sections/services.ts';

/** Longer values of fields may be keys and passwords, which have no place in metrics and logs. In characters. */
const MAX_SHOWN_VALUE = 8;
/** How much of a digest stands for one, so that names differ where values do. */
const DIGEST_CHARACTERS = 6;

/** What a breaker's window is by default, in request timeouts of its service. */
const BREAKER_WINDOW_TIMEOUTS = 3.5;

/** What the variables say. */
export interface Variables extends Omit<Environment, 'breaker'> {
  readonly breaker: Omit<BreakerTerms, 'windowMs'> & { readonly windowMs: number | undefined };
}

/** The window of a breaker where nobody says it: so many requests may run out of time one after another, and count together. */
export function breakerWindowMs(requestTimeoutMs: number): number {
  return Math.min(Math.round(requestTimeoutMs * BREAKER_WINDOW_TIMEOUTS), MAX_DURATION_MS);
}

/** What the variables mean where a service, or whatever else, says this. */
export function environmentOf({ timeouts }: Said, { breaker, ...rest }: Variables): Environment {
  const windowMs = breaker.windowMs ?? breakerWindowMs(timeouts?.request ?? rest.requestTimeoutMs);
  return { ...rest, breaker: { ...breaker, windowMs } };
}

/** What the gateway serves. */
export interface Routing {
  readonly services: readonly Service[];
  /** Routes that do not begin with a service's path, or ask for a host. */
  readonly routes: readonly Route[];
}

/** Every route: those of services in their order, then the others. Each has a name of its own. */
export function allRoutes({ services, routes }: Routing): Route[] {
  return [...services.flatMap((service) => service.routes), ...routes];
}

/** Definitions with everything they leave out filled in. */
export function completeRouting(
  services: readonly ServiceDefinition[],
  routes: readonly RouteDefinition[],
  variables: Variables,
): Routing {
  const free = routes.map((route) => withSettings(route, environmentOf(route.says, variables), variables));
  const isFree = free.length > 0;
  // A free-standing route may be for any path, so that what it lets in stands beside every service.
  const guards = isFree
    ? guardsOf([...free, ...services.flatMap((service) => ofService(service, variables))])
    : undefined;
  const complete = services.map((service) => completeService(service, variables, guards));
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
  variables: Variables,
  guards?: readonly Guard[],
): Service {
  const {
    name,
    path,
    upstreams = [],
    weights = {},
    basePath = '',
    aliases = [],
    stripPrefix = true,
    says = {},
    routes = [],
  } = definition;
  const settings = settingsOf(says, environmentOf(says, variables));
  const own = ofService(definition, variables);
  const isRouted = routes.length > 0 || guards !== undefined;
  const beside = guards ?? guardsOf(own);
  return {
    ...{ name, path, upstreams, weights, basePath, aliases, stripPrefix },
    ...settings,
    routes: isRouted ? own.map((route) => toRoute(route, settings, beside)) : [],
  };
}

interface WithSettings extends Omit<RouteDefinition, 'sides'> {
  readonly settings: PolicySettings;
  readonly sides: readonly RouteSide[] | undefined;
}

/** The routes of a service, and one that is all the rest of it, `/budgeting/**`. */
function ofService(definition: ServiceDefinition, variables: Variables): WithSettings[] {
  const { says = {}, routes = [] } = definition;
  const rest = restOf(definition);
  const environment = environmentOf(says, variables);
  return (rest ? [...routes, rest] : routes).map((route) => withSettings(route, environment, variables));
}

/** What a service gets that none of its routes is for: `/budgeting/**`. Undefined where one of its routes is for that itself. */
export function restOf({
  path,
  stripPrefix = true,
  says = {},
  routes = [],
}: ServiceDefinition): RouteDefinition | undefined {
  const match = { path: `${path}/**` };
  if (routes.some((route) => nameOf(route.match) === match.path)) return undefined;
  const cut = stripPrefix ? path : '';
  return { match, says, action: { kind: 'forward', service: path, cut, rewrite: undefined } };
}

function withSettings(
  { sides, ...route }: RouteDefinition,
  environment: Environment,
  variables: Variables,
): WithSettings {
  const own = settingsOf(route.says, environment);
  if (sides === undefined) return { ...route, settings: own, sides };
  const all = sides.map((side) => sideSettings(side, own, variables));
  // Before the choice it is not known who gets it.
  const passAuthorization = all.every((settings) => settings.passAuthorization);
  return {
    ...route,
    settings: { ...own, passAuthorization },
    sides: sides.map(({ service, weight }, index) => ({
      service,
      weight,
      settings: all[index] as PolicySettings,
    })),
  };
}

/** What holds for one side. Who is let in, and what stands in responses, was decided before it was chosen. */
function sideSettings(
  { says, outer }: SideDefinition,
  { auth, token, allow, deny, cors, security, responseRules }: PolicySettings,
  variables: Variables,
): PolicySettings {
  const own = settingsOf(says, environmentOf(outer, variables));
  return { ...own, auth, token, allow, deny, cors, security, responseRules };
}

/** Who is let in by those that lead to a service, each once: ten thousand routes have a few of them. */
function guardsOf(routes: readonly WithSettings[]): Guard[] {
  const guards = new Map<string, Guard>();
  for (const { action, settings } of routes) {
    const { auth, token, allow, deny } = settings;
    const guard = { auth, token, allow, deny };
    if (action.kind === 'forward') guards.set(JSON.stringify(guard), guard);
  }
  return [...guards.values()];
}

function toRoute(route: WithSettings, outer: PolicySettings, guards: readonly Guard[]): Route {
  const { name, match, action, settings, own: { limits } = {} } = route;
  return {
    name: name ?? nameOf(match),
    match,
    action,
    settings,
    permits: { concurrency: limits?.concurrency, streams: limits?.streams },
    spelling: spellingOf(route, outer, guards),
    ...(route.sides && { sides: route.sides }),
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

/** `GET,POST api.faf.example/orders/:id x-version=2`. It shows no secret: a long value is there as `x-api-key=#3f2a9c`. */
export function nameOf({ host = '', path, methods, headers = {}, priority }: RouteMatch): string {
  const fields = Object.entries(headers).map(([field, value]) => ` ${field}=${shownValue(value)}`);
  return `${methods ? `${methods.join(',')} ` : ''}${host}${path}${fields.join('')}${priority ? ` priority ${priority}` : ''}`;
}

function shownValue(value: string): string {
  if (value.length <= MAX_SHOWN_VALUE) return value;
  return `#${createHash('sha256').update(value).digest('hex').slice(0, DIGEST_CHARACTERS)}`;
}
