import type { RouteMatch, RouteRule } from '../../lib/routing/route.ts';

/** Whether users must say who they are. `optional`: they may, and a token that is not good is refused. */
export type AuthNeed = 'required' | 'optional' | 'none';

/** What may differ from route to route of one service. */
export interface RouteSettings {
  readonly auth: AuthNeed;
  /** Longest time from a request's arrival to the start of its response, in milliseconds, 1 or more. */
  readonly requestTimeoutMs: number;
  /** Longest silence within its response, in milliseconds, 1 or more. */
  readonly idleTimeoutMs: number;
  /** Largest content of a request, in bytes; 0: no limit. */
  readonly maxBodyBytes: number;
  /** How long responses are stored that do not say so themselves, in milliseconds; `off`: none is stored. */
  readonly cacheTtlMs: number | 'off';
  /** Whether responses with `public` or `s-maxage` are shared among users. */
  readonly cacheShared: boolean;
}

/** Some requests to a service, with what holds for them. */
export interface ServiceRoute extends RouteRule {
  readonly settings: RouteSettings;
}

/** One microservice behind the gateway. */
export interface Service extends RouteSettings {
  /** Its name in the registry: `cab-booking`. */
  readonly name: string;
  /** The first segment of its public paths, with the slash: `/booking`. */
  readonly path: string;
  /** Origins such as `http://cab-booking-service:8084`, used when no registry lists the service. May be empty. */
  readonly upstreams: readonly string[];
  /** Other names that registries use for it. */
  readonly aliases: readonly string[];
  /** Whether the prefix is removed: `/booking/api/rides` reaches the service as `/api/rides`. */
  readonly stripPrefix: boolean;
  /** Requests of users in flight at a time, 1 or more. */
  readonly concurrency: number;
  /** Streams of users open at a time, 0 or more. */
  readonly streams: number;
  /** Whether its replicas have circuit breakers. */
  readonly breaker: boolean;
  /** What differs for some of its requests on the external port; the most specific counts, and without one the service's own. */
  readonly routes: readonly ServiceRoute[];
}

/** The definition of a service in a file; the rest has defaults. */
export type ServiceDefinition = Pick<Service, 'name' | 'path'> &
  Partial<Omit<Service, 'routes'>> & { readonly routes?: readonly RouteDefinition[] };

/** What the author of a route writes down; its path begins with the service's. */
export interface RouteDefinition extends Partial<RouteSettings> {
  readonly match: RouteMatch;
}

/** The settings that are the defaults of a service. */
export type ServiceDefaults = Pick<
  Service,
  'concurrency' | 'streams' | 'requestTimeoutMs' | 'idleTimeoutMs' | 'maxBodyBytes' | 'cacheTtlMs'
>;

/** First path segments that the gateway serves itself. */
export const RESERVED_SEGMENTS: readonly string[] = ['metrics', 'healthz', 'readyz', 'internal', 'admin'];

/**
 * The ten services of FAF CAB. The third column is the host name in the stack's compose files, and so the static upstream.
 * `lost-found` is called `lostFound-service` in some of these files.
 */
export const BUILT_IN_SERVICES: readonly ServiceDefinition[] = [
  builtIn('user-management', '/userManagement', 'user-management:8080'),
  builtIn('notification', '/notification', 'notification-service:8081'),
  builtIn('tea-management', '/teaManagement', 'tm-service:8082'),
  builtIn('communication', '/communication', 'c-service:8083'),
  builtIn('cab-booking', '/booking', 'cab-booking-service:8084'),
  builtIn('checkin', '/checkin', 'checkin-service:8085'),
  builtIn('lost-found', '/lostFound', 'lost-found-service:8086', 'lostFound-service'),
  builtIn('budgeting', '/budgeting', 'budgeting-service:8087'),
  builtIn('fund-raising', '/fundRaising', 'fr-service:8088'),
  builtIn('sharing', '/sharing', 's-service:8089'),
];

/** Whether requests to `path` (without a query) go to this service. */
export function leadsTo({ path: own }: Pick<Service, 'path'>, path: string): boolean {
  return path === own || path.startsWith(`${own}/`);
}

function builtIn(name: string, path: string, address: string, ...others: string[]): ServiceDefinition {
  const [host = ''] = address.split(':');
  const aliases = new Set([host, `${name}-service`, path.slice(1), ...others]);
  aliases.delete(name);
  return { name, path, upstreams: [`http://${address}`], aliases: [...aliases] };
}
