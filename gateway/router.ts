import type { RequestHandler, Response } from 'express';
import { exchangeOf } from '../lib/exchange/exchange.ts';
import { compose } from './compose.ts';
import { ALLOWED_METHODS, BadTargetError, NoSuchServiceError, UriTooLongError } from './errors.ts';
import { isForGateway } from './http/requestChecks.ts';
import { isAmbiguous, MAX_TARGET_LENGTH, parseTarget } from './http/target.ts';
import type { ServiceParts } from './wiring/parts.ts';

export interface RouterOptions {
  readonly services: readonly ServiceParts[];
  /** The path prefix before the service's segment: '' or `/internal`. */
  readonly mount: string;
  /**
   * Makes the handlers for requests to this service, in the order in which they run. Called once for each service, at
   * start.
   */
  readonly chainFor: (service: ServiceParts) => readonly RequestHandler[];
}

interface Route {
  readonly service: ServiceParts;
  readonly prefix: string;
  readonly chain: RequestHandler;
}

/**
 * Finds the service by the first segment of the path, in one look-up however many services there are, and runs its chain.
 * The rest of the request target is passed on byte for byte.
 */
export function createRouter({ services, mount, chainFor }: Readonly<RouterOptions>): RequestHandler {
  const routes = new Map<string, Route>();
  for (const service of services) {
    const { path, stripPrefix } = service.settings;
    const prefix = stripPrefix ? `${mount}${path}` : mount;
    routes.set(path.slice(1), { service, prefix, chain: compose(chainFor(service)) });
  }

  return function routerMiddleware(req, res, next) {
    const target = req.originalUrl;
    const exchange = exchangeOf(res);
    if (exchange.refusal) return next(exchange.refusal);
    if (isForGateway(req, target)) return replyToOptions(res);
    if (target.length > MAX_TARGET_LENGTH) return next(new UriTooLongError(`${target.length} characters`));
    const parsed = parseTarget(target, mount);
    const route = parsed && routes.get(parsed.segment);
    if (!route) return next(new NoSuchServiceError(mount));
    if (isAmbiguous(target)) return next(new BadTargetError('the path can be read in more than one way'));
    exchange.service = route.service.settings.path;
    exchange.prefix = route.prefix;
    exchange.upstreamTarget = route.service.settings.stripPrefix ? parsed.rest : target.slice(mount.length);
    route.chain(req, res, next);
  };
}

function replyToOptions(res: Response): void {
  res.writeHead(200, { Allow: ALLOWED_METHODS, 'Content-Length': 0 }).end();
}
