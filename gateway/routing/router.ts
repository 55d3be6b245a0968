import type { RequestHandler, Response } from 'express';
import type { Route } from '../../config/sections/services.ts';
import { exchangeOf } from '../../lib/exchange/exchange.ts';
import { compose } from '../compose.ts';
import { ALLOWED_METHODS, UriTooLongError } from '../errors/requestErrors.ts';
import { isForGateway } from '../http/requestChecks.ts';
import { MAX_TARGET_LENGTH } from '../http/target.ts';
import type { ServiceParts } from '../wiring/parts.ts';
import { findByRoute } from './byRoute.ts';
import { findByService, type ServiceEntry } from './byService.ts';
import { Chains, type ChainsOptions } from './chains.ts';
import type { Find } from './find.ts';

export type { Extent } from './chains.ts';

export interface RouterOptions extends ChainsOptions {
  /** Routes that belong to no service. */
  readonly routes: readonly Route[];
  /** The path prefix before the service's segment: '' or `/internal`. */
  readonly mount: string;
  /** Whether routes count on this port, those of services and others, and chains answer preflights. */
  readonly hasRoutes: boolean;
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
  const { services, routes, mount, hasRoutes } = options;
  const chains = new Chains(options);
  if (hasRoutes && routes.length > 0) {
    const ofServices = services.flatMap(({ settings }) => settings.routes);
    return findByRoute([...ofServices, ...routes].map((route) => chains.ruleFor(route)));
  }
  const entries = services.map((service): [string, ServiceEntry] => [
    service.settings.path.slice(1),
    entryOf(service, chains, options),
  ]);
  return findByService(new Map(entries), mount);
}

function entryOf(
  service: ServiceParts,
  chains: Chains,
  { mount, hasRoutes, chainFor }: RouterOptions,
): ServiceEntry {
  const { path, stripPrefix, routes, cors } = service.settings;
  const isRouted = hasRoutes && routes.length > 0;
  return {
    path,
    prefix: stripPrefix ? `${mount}${path}` : mount,
    stripPrefix,
    chain: isRouted ? undefined : compose(chainFor(service, 'whole')),
    byRoute: isRouted ? findByRoute(routes.map((route) => chains.ruleFor(route))) : undefined,
    hasCors: hasRoutes && cors !== undefined,
  };
}

function replyToOptions(res: Response): void {
  res.writeHead(200, { Allow: ALLOWED_METHODS, 'Content-Length': 0 }).end();
}
