import { inOrder } from '../../lib/routing/ranking.ts';
import type { WrittenFile } from '../file/gatewayFile.ts';
import { formatDuration } from '../kinds/durations.ts';
import { authText } from '../policies/auth/auth.ts';
import { compressText } from '../policies/fields/compress.ts';
import { ratesText } from '../policies/limits/rates.ts';
import { mirrorText } from '../policies/mirror.ts';
import { originsOf } from '../policies/origins.ts';
import type { PolicySettings, RoutePolicy } from '../policies/policies.ts';
import { balanceText } from '../policies/upstream/balance.ts';
import { allRoutes, type Routing } from '../routes/complete.ts';
import { holdsBesideFixed } from '../routes/fixedProblems.ts';
import { levelsFor } from '../routes/levels.ts';
import type { Route, RouteSide } from '../sections/services.ts';
import { bytesText, retryText, ttlText } from './policyValues.ts';
import { alignWithin } from './table.ts';

/** One policy, or a value of one, in few words. */
interface Column {
  readonly heading: string;
  /** As in a file. */
  readonly path: string;
  readonly text: (settings: PolicySettings) => string;
}

/** The columns of each policy. */
const COLUMNS: Readonly<Record<RoutePolicy, readonly Column[]>> = {
  auth: [{ heading: 'AUTH', path: 'auth', text: ({ auth }) => authText(auth) }],
  timeouts: [
    {
      heading: 'TIMEOUT',
      path: 'timeouts.request',
      text: ({ requestTimeoutMs }) => formatDuration(requestTimeoutMs),
    },
    { heading: 'IDLE', path: 'timeouts.idle', text: ({ idleTimeoutMs }) => formatDuration(idleTimeoutMs) },
  ],
  limits: [
    { heading: 'CONCURRENCY', path: 'limits.concurrency', text: ({ concurrency }) => String(concurrency) },
    { heading: 'STREAMS', path: 'limits.streams', text: ({ streams }) => String(streams) },
    { heading: 'BODY', path: 'limits.body', text: ({ maxBodyBytes }) => bytesText(maxBodyBytes) },
    { heading: 'RATE', path: 'limits.rate', text: ({ rates }) => ratesText(rates) || 'any' },
  ],
  cache: [
    {
      heading: 'CACHE',
      path: 'cache',
      text: ({ cacheTtlMs, cacheShared }) =>
        `${ttlText(cacheTtlMs)}${cacheShared || cacheTtlMs === 'off' ? '' : ' unshared'}`,
    },
  ],
  retry: [{ heading: 'RETRY', path: 'retry', text: retryText }],
  breaker: [{ heading: 'BREAKER', path: 'breaker', text: ({ breaker }) => (breaker ? 'on' : 'off') }],
  balance: [{ heading: 'BALANCE', path: 'balance', text: ({ balance }) => balanceText(balance) }],
  mirror: [{ heading: 'MIRROR', path: 'mirror', text: mirrorText }],
  token: [{ heading: 'TOKEN', path: 'token', text: ({ token }) => token ?? 'none' }],
  passAuthorization: [
    {
      heading: 'AUTHORIZATION',
      path: 'passAuthorization',
      text: ({ passAuthorization }) => (passAuthorization ? 'passed' : 'cut'),
    },
  ],
  allow: [{ heading: 'ALLOW', path: 'allow', text: ({ allow }) => allow?.join(' ') ?? 'all' }],
  deny: [{ heading: 'DENY', path: 'deny', text: ({ deny }) => deny.join(' ') || 'none' }],
  compress: [{ heading: 'COMPRESS', path: 'compress', text: compressText }],
  cors: [{ heading: 'CORS', path: 'cors', text: ({ cors }) => cors?.origins.join(' ') ?? 'off' }],
  headers: [
    {
      heading: 'HEADERS',
      path: 'headers',
      text: ({ requestRules, responseRules }) => (requestRules || responseRules ? 'changed' : 'as they are'),
    },
  ],
  security: [{ heading: 'SECURITY', path: 'security', text: ({ security }) => (security ? 'on' : 'off') }],
  host: [
    { heading: 'HOST', path: 'host', text: ({ host }) => (typeof host === 'object' ? host.name : host) },
  ],
  publicPaths: [
    { heading: 'PUBLIC PATHS', path: 'publicPaths', text: ({ publicPaths }) => (publicPaths ? 'yes' : 'no') },
  ],
};

/** Characters of a line. */
const WIDTH = 120;

/**
 * All routes in the order in which they win, with what each does, and those policies in which some differ from their service.
 * What a route inherits stands in parentheses.
 *
 * @param written the file that they come from
 */
export function routeTable(routing: Routing, written: WrittenFile | undefined): string {
  const routes = inOrder(allRoutes(routing));
  const { auth, ...others } = COLUMNS;
  const columns = [
    ...auth,
    ...Object.values(others)
      .flat()
      .filter((column) => routes.some((route) => differs(route, column, routing))),
  ];
  const headings = ['ROUTE', 'DOES', 'SPELLING', ...columns.map(({ heading }) => heading)];
  const rows = routes.map((route) => {
    const own = saidBy(route, routing, written);
    const cells = columns.map((column) => cellOf(route, column, own));
    return [route.name, actionText(route), route.spelling, ...cells];
  });
  return `${alignWithin([headings, ...rows], WIDTH)}(...) is inherited. The first of the routes that a request matches counts.\n`;
}

/** Whether the route has something else there than the service that it leads to. */
function differs(route: Route, { text }: Column, { services }: Routing): boolean {
  const { action, settings } = route;
  if (action.kind !== 'forward') return false;
  const service = services.find(({ path }) => path === action.service);
  return service !== undefined && text(service) !== text(settings);
}

function cellOf(
  { action, settings, sides }: Route,
  { path, text }: Column,
  own: ReadonlySet<string>,
): string {
  if (action.kind !== 'forward' && !holdsBesideFixed(policyOf(path))) return '-';
  const texts = sides ? sides.map((side) => text(side.settings)) : [text(settings)];
  const all = [...new Set(texts)].join(' / ');
  return own.has(path) ? all : `(${all})`;
}

function policyOf(path: string): RoutePolicy {
  return path.split('.')[0] as RoutePolicy;
}

/** The paths of all that the route says itself, and of what these are parts of. */
function saidBy(route: Route, routing: Routing, written: WrittenFile | undefined): ReadonlySet<string> {
  if (!written) return new Set();
  const service = routing.services.find(({ routes }) => routes.includes(route));
  const own = levelsFor(written, routing, { service, route }).filter(({ name }) => name === 'route');
  const paths = [...originsOf(own).keys()];
  return new Set(
    paths.flatMap((path) => path.split('.').map((_, index, all) => all.slice(0, index + 1).join('.'))),
  );
}

function actionText({ action, sides }: Route): string {
  const to = (service: string) => (sides ? sidesText(sides) : service);
  switch (action.kind) {
    case 'redirect':
      return `${action.status} to ${action.to}`;
    case 'respond':
      return `responds with ${action.status}`;
    case 'forward':
      return action.rewrite === undefined ? to(action.service) : `${to(action.service)} as ${action.rewrite}`;
  }
}

/** `/checkin 90 %, /checkin-v2 10 %`. */
function sidesText(sides: readonly RouteSide[]): string {
  const sum = sides.reduce((all, { weight }) => all + weight, 0);
  return sides.map(({ service, weight }) => `${service} ${percentText(weight / sum)}`).join(', ');
}

/** A share as people write it, with two digits behind the point at most. */
export function percentText(share: number): string {
  return `${Math.round(share * 10_000) / 100} %`;
}
