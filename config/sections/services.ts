import type { RouteMatch, RouteRule } from '../../lib/routing/route.ts';
import type { PolicySettings, Said } from '../policies/policies.ts';
import type { RouteAction } from '../routes/actions.ts';

/** Some requests of users, with what holds for them. */
export interface Route extends RouteRule {
  readonly action: RouteAction;
  /** Of a redirect or fixed response only what concerns the response. */
  readonly settings: PolicySettings;
  /** How many permits of its own it has in place of its service's; undefined: it shares those of its service. */
  readonly permits: RoutePermits;
  /** The services among which its requests are divided, in order; undefined: its action says which one gets them all. */
  readonly sides?: readonly RouteSide[] | undefined;
}

/** One of several services among which the requests of a route are divided. */
export interface RouteSide {
  /** Path of the service: `/checkin-v2`. */
  readonly service: string;
  /** From 0; only how it compares to the others counts. */
  readonly weight: number;
  /** What holds from the choice on: what the route says, and what this service says where it says nothing. */
  readonly settings: PolicySettings;
}

export interface RoutePermits {
  /** Requests in flight at a time, 1 or more. */
  readonly concurrency?: number | undefined;
  /** Streams open at a time, 0 or more. */
  readonly streams?: number | undefined;
}

/** One microservice behind the gateway. */
export interface Service extends PolicySettings {
  /** Its name in the registry: `cab-booking`. */
  readonly name: string;
  /** The first segment of its public paths, with the slash: `/booking`. */
  readonly path: string;
  /** Origins such as `http://cab-booking-service:8084`, used when no registry lists the service. May be empty. */
  readonly upstreams: readonly string[];
  /** Their parts of the requests, by origin; 1 for one that is not here. */
  readonly weights: Readonly<Record<string, number>>;
  /** What goes before every path that the service is asked for: `/shop`, or ''. */
  readonly basePath: string;
  /** Other names that registries use for it. */
  readonly aliases: readonly string[];
  /** Whether the prefix is removed: `/booking/api/rides` reaches the service as `/api/rides`. */
  readonly stripPrefix: boolean;
  /** What differs for some of its requests on the external port; the most specific counts, and without one the service's own. */
  readonly routes: readonly Route[];
}

/** A service as its author writes it down; the rest has defaults. */
export interface ServiceDefinition
  extends Pick<Service, 'name' | 'path'>,
    Partial<Pick<Service, 'upstreams' | 'weights' | 'aliases' | 'stripPrefix'>> {
  readonly basePath?: string | undefined;
  /** What it says itself, and what `defaults` say where it says nothing. */
  readonly says?: Said;
  readonly routes?: readonly RouteDefinition[] | undefined;
}

/** A route as its author writes it down, with the whole path. */
export interface RouteDefinition {
  /** Default: what `match` says, in short. */
  readonly name?: string | undefined;
  readonly match: RouteMatch;
  readonly action: RouteAction;
  /** What it says itself. Default: nothing. */
  readonly own?: Said;
  /** What it says itself, and what its service says where it says nothing. */
  readonly says: Said;
  /** See `Route`. */
  readonly sides?: readonly SideDefinition[] | undefined;
}

export interface SideDefinition extends Pick<RouteSide, 'service' | 'weight'> {
  /** What the service says. */
  readonly outer: Said;
  /** What the route says itself, and what this service says where it says nothing. */
  readonly says: Said;
}

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

/** The upstreams as people read them: `http://a:8087 weight 3`. */
export function upstreamTexts({ upstreams, weights }: Pick<Service, 'upstreams' | 'weights'>): string[] {
  return upstreams.map((origin) => {
    const weight = weights[origin];
    return weight === undefined ? origin : `${origin} weight ${weight}`;
  });
}

function builtIn(name: string, path: string, address: string, ...others: string[]): ServiceDefinition {
  const [host = ''] = address.split(':');
  const aliases = new Set([host, `${name}-service`, path.slice(1), ...others]);
  aliases.delete(name);
  return { name, path, upstreams: [`http://${address}`], aliases: [...aliases] };
}
