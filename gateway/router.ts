import type { Request, RequestHandler, Response } from 'express';
import { exchangeOf } from '../lib/exchange/exchange.ts';
import type { RouteRule } from '../lib/routing/route.ts';
import { AMBIGUOUS, RouteTable } from '../lib/routing/routeTable.ts';
import { compose } from './compose.ts';
import { ALLOWED_METHODS, BadTargetError, NoSuchServiceError, UriTooLongError } from './errors.ts';
import { isForGateway } from './http/requestChecks.ts';
import { isAmbiguous, MAX_TARGET_LENGTH, parseTarget } from './http/target.ts';
import type { ServiceParts } from './wiring/parts.ts';

export interface RouterOptions {
  readonly services: readonly ServiceParts[];
  /** The path prefix before the service's segment: '' or `/internal`. */
  readonly mount: string;
  /** Whether the routes of services count on this port. */
  readonly hasRoutes: boolean;
  /**
   * Makes the handlers for requests to this service, in the order in which they run. Called once for each service, and for
   * each route of one, at start.
   */
  readonly chainFor: (service: ServiceParts) => readonly RequestHandler[];
}

interface ServiceEntry {
  readonly service: ServiceParts;
  readonly prefix: string;
  /** One chain for all of its requests, where it has no routes or this port none of its. */
  readonly chains: RequestHandler | RouteTable<ChainRule>;
}

/** A route with what its requests meet. */
interface ChainRule extends RouteRule {
  readonly chain: RequestHandler;
}

/**
 * Finds the service by the first segment of the path, in one look-up however many services there are, and runs its chain, or
 * that of one of its routes. The rest of the request target is passed on byte for byte.
 */
export function createRouter({
  services,
  mount,
  hasRoutes,
  chainFor,
}: Readonly<RouterOptions>): RequestHandler {
  const entries = new Map<string, ServiceEntry>();
  for (const service of services) {
    const { path, stripPrefix, routes } = service.settings;
    const prefix = stripPrefix ? `${mount}${path}` : mount;
    const isRouted = hasRoutes && routes.length > 0;
    const chains = isRouted ? routeTable(service, chainFor) : compose(chainFor(service));
    entries.set(path.slice(1), { service, prefix, chains });
  }

  return function routerMiddleware(req, res, next) {
    const target = req.originalUrl;
    const exchange = exchangeOf(res);
    if (exchange.refusal) return next(exchange.refusal);
    if (isForGateway(req, target)) return replyToOptions(res);
    if (target.length > MAX_TARGET_LENGTH) return next(new UriTooLongError(`${target.length} characters`));
    const parsed = parseTarget(target, mount);
    const entry = parsed && entries.get(parsed.segment);
    if (!entry) return next(new NoSuchServiceError(mount));
    const chain = chainOf(entry, req, target);
    if (chain === undefined) return next(new BadTargetError('the path can be read in more than one way'));
    exchange.service = entry.service.settings.path;
    exchange.prefix = entry.prefix;
    exchange.upstreamTarget = entry.service.settings.stripPrefix ? parsed.rest : target.slice(mount.length);
    chain(req, res, next);
  };
}

/** Undefined: the target can be read in more than one way. A route for all the rest of a service is always there. */
function chainOf({ chains }: ServiceEntry, req: Request, target: string): RequestHandler | undefined {
  if (isAmbiguous(target)) return undefined;
  if (typeof chains === 'function') return chains;
  const found = chains.find(req, target);
  return found === AMBIGUOUS ? undefined : found?.rule.chain;
}

function routeTable(service: ServiceParts, chainFor: RouterOptions['chainFor']): RouteTable<ChainRule> {
  const rules = service.settings.routes.map(({ settings, ...rule }): ChainRule => {
    const routed = { ...service, settings: { ...service.settings, ...settings } };
    return { ...rule, chain: compose(chainFor(routed)) };
  });
  return new RouteTable(rules);
}

function replyToOptions(res: Response): void {
  res.writeHead(200, { Allow: ALLOWED_METHODS, 'Content-Length': 0 }).end();
}
