import type { RequestHandler, Response } from 'express';
import type { PolicySettings } from '../../config/policies/policies.ts';
import type { Route, RouteSide } from '../../config/sections/services.ts';
import { publicPathOf } from '../../config/sections/stickyCookies.ts';
import { exchangeOf } from '../../lib/exchange/exchange.ts';
import { compose } from '../compose.ts';
import { ALLOWED_METHODS, UriTooLongError } from '../errors/requestErrors.ts';
import { isForGateway } from '../http/requestChecks.ts';
import { MAX_TARGET_LENGTH } from '../http/target.ts';
import { partsOfRoute, type ServiceParts } from '../wiring/parts.ts';
import { findByRoute, type RoutedRule, ruleFor } from './byRoute.ts';
import { findByService, type ServiceEntry } from './byService.ts';
import type { Find } from './find.ts';
import { fixedResponse } from './fixedResponse.ts';

/** How much of a chain: all of it, or of a route that is split what comes before the choice of a side, or after it. */
export type Extent = 'whole' | 'untilChoice' | 'fromChoice';

export interface RouterOptions {
  readonly services: readonly ServiceParts[];
  /** Routes that belong to no service. */
  readonly routes: readonly Route[];
  /** The path prefix before the service's segment: '' or `/internal`. */
  readonly mount: string;
  /** Whether routes count on this port, those of services and others, and chains answer preflights. */
  readonly hasRoutes: boolean;
  /**
   * Makes the handlers for requests to this service, in the order in which they run. Called at start: once for each service,
   * and for each of the settings that routes to it have.
   */
  readonly chainFor: (service: ServiceParts, extent: Extent) => readonly RequestHandler[];
  /** Makes the handlers that say what stands in responses of a route that no service gets. */
  readonly responseHandlersFor: (policies: PolicySettings) => readonly RequestHandler[];
  /** Makes the handlers that refuse clients of such a route by their address. */
  readonly addressHandlersFor: (policies: PolicySettings) => readonly RequestHandler[];
}

/** Finds the service or route for a request, and runs its chain. The target goes on byte for byte, but for what its route cuts. */
export function createRouter(options: Readonly<RouterOptions>): RequestHandler {
  const find = finder(options);

  return function routerMiddleware(req, res, next) {
    const target = req.originalUrl;
    const exchange = exchangeOf(res);
    if (exchange.refusal) return next(exchange.refusal);
    if (isForGateway(req, target)) return replyToOptions(res);
    if (target.length > MAX_TARGET_LENGTH) return next(new UriTooLongError(`${target.length} characters`));
    const found = find(req, target, exchange);
    return typeof found === 'function' ? found(req, res, next) : next(found);
  };
}

/** One look-up where every path begins with its service's; one table for all where some do not. */
function finder(options: RouterOptions): Find {
  const { services, routes, mount, hasRoutes, chainFor, responseHandlersFor, addressHandlersFor } = options;
  const byPath = new Map(services.map((service) => [service.settings.path, service]));
  /** Routes of the same settings have one chain: thousands of routes take the memory of a few. */
  const chains = new Map<string, RequestHandler>();
  const fieldHandlers = new Map<string, RequestHandler>();

  function toRule(route: Route): RoutedRule {
    const { action, settings, match } = route;
    const all = JSON.stringify(settings);
    const fields = fieldHandlers.get(all) ?? compose(responseHandlersFor(settings));
    fieldHandlers.set(all, fields);
    if (action.kind !== 'forward') {
      const handlers = [fields, ...addressHandlersFor(settings), fixedResponse(action, match.path)];
      return ruleFor(route, compose(handlers), fields);
    }
    if (route.sides) return ruleFor(route, splitInto(route, action.service, route.sides), fields);
    return ruleFor(route, chainOf(route, action.service, 'whole'), fields);
  }

  function chainOf(
    route: Pick<Route, 'name' | 'match' | 'settings'>,
    path: string,
    extent: Extent,
  ): RequestHandler {
    const service = byPath.get(path) as ServiceParts;
    // Permits of its own are nobody else's.
    const owner = service.limits.routes.has(route.name) ? route.name : '';
    // The cookie that keeps a client at its replica is for the paths of one route.
    const place =
      route.settings.balance.by === 'cookie' ? publicPathOf(service.settings, route.match.path) : '';
    const alike = `${extent} ${path} ${owner} ${place} ${JSON.stringify(route.settings)}`;
    const chain = chains.get(alike) ?? compose(chainFor(partsOfRoute(service, route), extent));
    chains.set(alike, chain);
    return chain;
  }

  function splitInto(route: Route, path: string, sides: readonly RouteSide[]): RequestHandler {
    const own = partsOfRoute(byPath.get(path) as ServiceParts, route);
    const handlers = sides.map(({ service, weight, settings }) => ({
      service,
      weight,
      handler: chainOf({ ...route, settings }, service, 'fromChoice'),
    }));
    return compose(chainFor({ ...own, sides: handlers }, 'untilChoice'));
  }

  if (hasRoutes && routes.length > 0) {
    const ofServices = services.flatMap(({ settings }) => settings.routes);
    return findByRoute([...ofServices, ...routes].map(toRule));
  }
  const entries = services.map((service): [string, ServiceEntry] => {
    const { path, stripPrefix, routes: own } = service.settings;
    const prefix = stripPrefix ? `${mount}${path}` : mount;
    const isRouted = hasRoutes && own.length > 0;
    const chain = isRouted ? undefined : compose(chainFor(service, 'whole'));
    const byRoute = isRouted ? findByRoute(own.map(toRule)) : undefined;
    const hasCors = hasRoutes && service.settings.cors !== undefined;
    return [path.slice(1), { path, prefix, stripPrefix, chain, byRoute, hasCors }];
  });
  return findByService(new Map(entries), mount);
}

function replyToOptions(res: Response): void {
  res.writeHead(200, { Allow: ALLOWED_METHODS, 'Content-Length': 0 }).end();
}
