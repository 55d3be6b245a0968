import { SAFE_METHODS } from '../../lib/http/safeMethods.ts';
import type { Settings } from '../config.ts';
import { formatDuration } from '../kinds/durations.ts';
import type { PolicySettings } from '../policies/policies.ts';
import type { Route, Service } from '../sections/services.ts';

/** Methods whose responses are kept, and whose requests may be sent to two replicas at the same time. */
const REPEATABLE: readonly string[] = ['GET', 'HEAD'];

/** Warnings about what a file says of services and routes and cannot come about, or does nothing. */
export function policyWarnings(settings: Settings): string[] {
  const { services, routes } = settings;
  const all = [...services.flatMap((service) => service.routes), ...routes];
  return [
    ...unreachable(settings, all),
    ...keysOfNobody(settings, all),
    ...services.flatMap(shortWindow),
    ...services.flatMap(pathTwice),
    ...secretless(settings, all),
    ...all.flatMap(idleToken),
    ...all.flatMap((route) => {
      const { action } = route;
      const service = services.find(({ path }) => action.kind === 'forward' && path === action.service);
      return service ? idleRoute(service, route) : [];
    }),
  ];
}

/** Limits of services and routes that the gateway's own is below. */
function unreachable(
  { services, globalConcurrency, maxStreams }: Settings,
  routes: readonly Route[],
): string[] {
  const requests = namesOf(services, routes, ({ concurrency = 0 }) => concurrency > globalConcurrency);
  const streams = namesOf(services, routes, ({ streams: own = 0 }) => own > maxStreams);
  return [
    ...(requests === ''
      ? []
      : [
          `GLOBAL_CONCURRENCY is ${globalConcurrency}, below the limit of single services or routes (${requests}), which they cannot reach`,
        ]),
    ...(streams === ''
      ? []
      : [
          `MAX_STREAMS is ${maxStreams}, below the streams of single services or routes (${streams}), which they cannot reach`,
        ]),
  ];
}

/** Another gateway on the same store may make the keys. */
function keysOfNobody({ services, adminToken }: Settings, routes: readonly Route[]): string[] {
  if (adminToken !== undefined) return [];
  const takesKeys = ({ auth: { sources = [] } }: PolicySettings) =>
    sources.some(({ from }) => from === 'apiKey');
  const names = [
    ...services.filter(takesKeys).map(({ path }) => path),
    ...routes.filter(({ settings }) => takesKeys(settings)).map(({ name }) => name),
  ];
  if (names.length === 0) return [];
  return [`ADMIN_TOKEN is not set, so no API key can be made here for ${names.join(', ')}, which take some`];
}

/** The services and routes with such limits of their own. */
function namesOf(
  services: readonly Service[],
  routes: readonly Route[],
  isSuch: (limits: Route['permits']) => boolean,
): string {
  const paths = services.filter(isSuch).map(({ path }) => path);
  const names = routes.filter(({ permits }) => isSuch(permits)).map(({ name }) => name);
  return [...paths, ...names].join(', ');
}

function shortWindow({ path, breaker, requestTimeoutMs }: Service): string[] {
  if (!breaker || breaker.threshold === 1 || breaker.windowMs >= requestTimeoutMs) return [];
  return [
    `The breaker window of ${path} is ${formatDuration(breaker.windowMs)} and a request may take ` +
      `${formatDuration(requestTimeoutMs)}: requests that run out of time one after another never open a breaker`,
  ];
}

/** Cookies that are good until the gateway restarts, and at no other gateway. */
function secretless({ services, stickySecret, jwtSecret }: Settings, routes: readonly Route[]): string[] {
  if (stickySecret !== undefined || jwtSecret !== undefined) return [];
  const isSticky = ({ balance }: Pick<Service, 'balance'>) => balance.by === 'cookie';
  if (!services.some(isSticky) && !routes.some(({ settings }) => isSticky(settings))) return [];
  return [
    'STICKY_SECRET is not set, nor is JWT_SECRET: the cookies of balance: sticky are good until the gateway restarts, and at no other gateway',
  ];
}

/** A path of `match` is below the service's own: who writes the whole of it gets it twice. */
function pathTwice({ path, routes }: Service): string[] {
  return routes
    .filter(({ match }) => `${match.path}/`.startsWith(`${path}${path}/`))
    .map(
      ({ name }) =>
        `The route ${name} has ${path} twice: the path of match is below that of its service, which is not repeated`,
    );
}

/** A login is a POST, and a logout no request that only reads. */
function idleToken({ name, match: { methods }, settings: { token } }: Route): string[] {
  if (token === undefined || methods === undefined) return [];
  const isIdle =
    token === 'issue' ? !methods.includes('POST') : methods.every((method) => SAFE_METHODS.has(method));
  if (!isIdle) return [];
  const needs = token === 'issue' ? 'POST' : 'methods that change something, such as POST or DELETE';
  return [`The route ${name} has token: ${token}, which does nothing: it takes ${needs}`];
}

/** What a route says only of other methods than its own. */
function idleRoute(service: Service, { name, match, settings }: Route): string[] {
  const { methods = REPEATABLE } = match;
  if (methods.some((method) => REPEATABLE.includes(method))) return [];
  const keeps = settings.cacheTtlMs !== 'off';
  const isCacheItsOwn =
    settings.cacheTtlMs !== service.cacheTtlMs || settings.cacheShared !== service.cacheShared;
  const isHedgeItsOwn = settings.retries === service.retries && settings.hedges !== service.hedges;
  return [
    ...(keeps && isCacheItsOwn
      ? [`The route ${name} has a cache that does nothing: only responses to GET are kept`]
      : []),
    ...(isHedgeItsOwn
      ? [
          `The route ${name} has retry.hedge, which does nothing: only GET and HEAD are sent to a second replica`,
        ]
      : []),
  ];
}
