/** One microservice behind the gateway. */
export interface Service {
  /** The name it has in the registry: `cab-booking`. */
  readonly name: string;
  /** The first segment of its public paths, with the slash: `/booking`. */
  readonly path: string;
  /** Origins such as `http://cab-booking-service:8084`, for when no registry lists it. May be empty. */
  readonly upstreams: readonly string[];
  /** Other names that registries use for it. */
  readonly aliases: readonly string[];
  /** Whether `/booking/api/rides` reaches it as `/api/rides`. */
  readonly stripPrefix: boolean;
  /** Requests of users in flight at a time, 1 or more. */
  readonly concurrency: number;
  /** Streams of users open at a time, 0 or more. */
  readonly streams: number;
  /** From a request's arrival to the start of its answer, 1 or more. */
  readonly requestTimeoutMs: number;
  /** How long a response is kept that does not say so itself; `off`: none is kept. */
  readonly cacheTtlMs: number | 'off';
  /** Whether its replicas have circuit breakers. */
  readonly breaker: boolean;
  /** Whether answers that say `public` or `s-maxage` are shared among users. */
  readonly cacheShared: boolean;
}

/** What the author of a service writes down. */
export type ServiceDefinition = Pick<Service, 'name' | 'path'> & Partial<Service>;

/** What a service takes from the gateway's settings. */
export type ServiceDefaults = Pick<Service, 'concurrency' | 'streams' | 'requestTimeoutMs' | 'cacheTtlMs'>;

/** First segments that the gateway answers itself. */
export const RESERVED_SEGMENTS: readonly string[] = ['metrics', 'healthz', 'readyz', 'internal', 'admin'];

/**
 * The ten services of FAF CAB. The third is what it is called in the stack's compose files, where its static upstream
 * is. `lost-found` is called `lostFound-service` in some of them.
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

/** Whether requests to `path`, without a query, are the service's. */
export function leadsTo({ path: own }: Pick<Service, 'path'>, path: string): boolean {
  return path === own || path.startsWith(`${own}/`);
}

/** A definition with everything it leaves out filled in. */
export function completeService(definition: ServiceDefinition, defaults: ServiceDefaults): Service {
  return {
    name: definition.name,
    path: definition.path,
    upstreams: definition.upstreams ?? [],
    aliases: definition.aliases ?? [],
    stripPrefix: definition.stripPrefix ?? true,
    concurrency: definition.concurrency ?? defaults.concurrency,
    streams: definition.streams ?? defaults.streams,
    requestTimeoutMs: definition.requestTimeoutMs ?? defaults.requestTimeoutMs,
    cacheTtlMs: definition.cacheTtlMs ?? defaults.cacheTtlMs,
    cacheShared: definition.cacheShared ?? true,
    breaker: definition.breaker ?? true,
  };
}

function builtIn(name: string, path: string, address: string, ...others: string[]): ServiceDefinition {
  const [host = ''] = address.split(':');
  const aliases = new Set([host, `${name}-service`, path.slice(1), ...others]);
  aliases.delete(name);
  return { name, path, upstreams: [`http://${address}`], aliases: [...aliases] };
}
