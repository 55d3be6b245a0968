import type { Spelling } from '../../lib/routing/route.ts';
import type {
  RouteDefinition,
  RouteSettings,
  Service,
  ServiceDefaults,
  ServiceDefinition,
  ServiceRoute,
} from './services.ts';

/** A definition with everything it leaves out filled in. */
export function completeService(definition: ServiceDefinition, defaults: ServiceDefaults): Service {
  const service = { ...ownSettings(definition, defaults), routes: [] };
  return { ...service, routes: completeRoutes(service, definition.routes ?? []) };
}

function ownSettings(definition: ServiceDefinition, defaults: ServiceDefaults): Omit<Service, 'routes'> {
  return {
    name: definition.name,
    path: definition.path,
    upstreams: definition.upstreams ?? [],
    aliases: definition.aliases ?? [],
    stripPrefix: definition.stripPrefix ?? true,
    concurrency: definition.concurrency ?? defaults.concurrency,
    streams: definition.streams ?? defaults.streams,
    requestTimeoutMs: definition.requestTimeoutMs ?? defaults.requestTimeoutMs,
    idleTimeoutMs: definition.idleTimeoutMs ?? defaults.idleTimeoutMs,
    maxBodyBytes: definition.maxBodyBytes ?? defaults.maxBodyBytes,
    cacheTtlMs: definition.cacheTtlMs ?? defaults.cacheTtlMs,
    cacheShared: definition.cacheShared ?? true,
    auth: definition.auth ?? 'required',
    breaker: definition.breaker ?? true,
  };
}

/**
 * The routes of a service with what they inherit from it, and with one that is all the rest, `/budgeting/**`; none where it
 * has none of its own.
 */
function completeRoutes(service: Service, definitions: readonly RouteDefinition[]): ServiceRoute[] {
  if (definitions.length === 0) return [];
  const settings = definitions.map((definition) => settingsOf(definition, service));
  const isOpen = [service, ...settings].some(({ auth }) => auth !== 'required');
  const routes = definitions.map(({ match }, index): ServiceRoute => {
    const own = settings[index] as RouteSettings;
    return { name: nameOf(match), match, spelling: spellingOf(own, service, isOpen), settings: own };
  });
  const rest = { path: `${service.path}/**` };
  const isThere = routes.some(({ match }) => match.path === rest.path && Object.keys(match).length === 1);
  if (isThere) return routes;
  const spelling = spellingOf(service, service, isOpen);
  return [...routes, { name: nameOf(rest), match: rest, spelling, settings: settingsOf(service, service) }];
}

/**
 * What keeps out is for every spelling of its path, what lets more in for its own alone. Where anything is open without a token,
 * whatever asks for one keeps out, the service itself included.
 */
function spellingOf(own: RouteSettings, outer: RouteSettings, isOpen: boolean): Spelling {
  if (own.auth !== 'required') return 'exact';
  return isOpen || isTighter(own, outer) ? 'any' : 'exact';
}

function isTighter(own: RouteSettings, outer: RouteSettings): boolean {
  return (
    own.requestTimeoutMs < outer.requestTimeoutMs ||
    own.idleTimeoutMs < outer.idleTimeoutMs ||
    bodyOf(own) < bodyOf(outer) ||
    (own.cacheTtlMs === 'off' && outer.cacheTtlMs !== 'off') ||
    (!own.cacheShared && outer.cacheShared)
  );
}

function bodyOf({ maxBodyBytes }: RouteSettings): number {
  return maxBodyBytes === 0 ? Number.POSITIVE_INFINITY : maxBodyBytes;
}

function settingsOf(own: Partial<RouteSettings>, outer: RouteSettings): RouteSettings {
  return {
    auth: own.auth ?? outer.auth,
    requestTimeoutMs: own.requestTimeoutMs ?? outer.requestTimeoutMs,
    idleTimeoutMs: own.idleTimeoutMs ?? outer.idleTimeoutMs,
    maxBodyBytes: own.maxBodyBytes ?? outer.maxBodyBytes,
    cacheTtlMs: own.cacheTtlMs ?? outer.cacheTtlMs,
    cacheShared: own.cacheShared ?? outer.cacheShared,
  };
}

/** `GET,POST api.faf.example/orders/:id`. */
function nameOf({ host = '', path, methods }: RouteDefinition['match']): string {
  return `${methods ? `${methods.join(',')} ` : ''}${host}${path}`;
}
