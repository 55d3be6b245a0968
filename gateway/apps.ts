import express, { type ErrorRequestHandler, type Express, type Request, type RequestHandler } from 'express';
import { askedMethod } from '../lib/cors/preflight.ts';
import { crossSiteRefusal } from '../lib/crosssite/refusal.ts';
import { exchangeOf } from '../lib/exchange/exchange.ts';
import type { Phase } from '../lib/exchange/phases.ts';
import { observe } from '../lib/metrics/middleware.ts';
import { serverTiming } from '../lib/metrics/serverTiming.ts';
import { peerAddress } from '../lib/proxy/request/forwarded.ts';
import { writerOf } from '../lib/response/responseWriter.ts';
import { trace } from '../lib/tracing/middleware.ts';
import { adminRoutes } from './admin.ts';
import { compose } from './compose.ts';
import { errorReplies } from './errors/errorReplies.ts';
import { wellKnown } from './health/wellKnown.ts';
import { accessLog, errorLog } from './logs/accessLog.ts';
import type { Port } from './port.ts';
import { createRouter, type Extent } from './routing/router.ts';
import { addresses, addressHandlers } from './stages/access/addresses.ts';
import { auth } from './stages/access/auth.ts';
import { stickyCookie } from './stages/access/stickyCookie.ts';
import { apiKey, cookieToken, queryToken } from './stages/access/tokenSources.ts';
import { cache } from './stages/cache.ts';
import { circuitBreaker } from './stages/forwarding/circuitBreaker.ts';
import { failover } from './stages/forwarding/failover.ts';
import { loadBalancer } from './stages/forwarding/loadBalancer.ts';
import { mirror } from './stages/forwarding/mirror.ts';
import { proxy } from './stages/forwarding/proxy.ts';
import { concurrency, identityConcurrency } from './stages/limits/concurrency.ts';
import { loginContent, logoutConcurrency } from './stages/limits/content.ts';
import { addressRateLimit, rateLimit } from './stages/limits/rateLimits.ts';
import { timeout } from './stages/limits/timeout.ts';
import { compression } from './stages/response/compression.ts';
import { cors } from './stages/response/cors.ts';
import { responseHandlers } from './stages/response/handlers.ts';
import { headers } from './stages/response/headers.ts';
import { split } from './stages/split.ts';
import type { Stage, StageContext } from './stages/stage.ts';
import type { Parts, ServiceParts } from './wiring/parts.ts';

/**
 * The stages that a user's request to a service passes, in this order. Most are named after the folder in `lib/` that
 * does their work; ARCHITECTURE.md says where the others' work is done. Every request is observed and routed before (`entrance`, `createRouter`).
 */
export const externalChain: readonly Stage[] = [
  headers, // first: it sees to the fields of every response, and before cors, which has the last word about Vary
  stickyCookie, // before cors, for which its cookie is none of the user's, and before cache keys and services, which must not have it
  compression, // after headers, whose rules may say what must not be changed, and before all that reads what clients accept
  cors, // before all that refuses: a page must be able to read whatever refuses its request, and preflights come without a token
  addresses, // before everything that costs: a client that may not come is told so at once
  queryToken, // before all that reads the target: it takes the token out of the target, which cache keys, logs and services see from here on
  cookieToken, // as early: cache keys and services must not have it either
  apiKey, // the same
  loginContent, // before timeout and concurrency: a login that arrives slowly holds no permit and uses up no service's time
  timeout, // before concurrency: waiting for a permit is part of the time until the response begins
  addressRateLimit, // before auth: it also protects the login, for which there is no token yet
  concurrency, // before auth: a flood of bad tokens uses up permits, and not CPU for signatures
  auth, // before cache: stored responses belong to an identity
  identityConcurrency, // directly after auth: until here all users behind one address count as one caller
  logoutConcurrency, // after auth, which has revoked the token already: a revocation waits for no content
  rateLimit, // after auth: it counts by identity; before cache: a hit counts as a request
  cache, // before loadBalancer: a hit needs no replica
  mirror, // behind cache: what is answered from there is not copied; before failover: a request is copied once, however often it is tried
  failover, // runs the stages after it once more, for another replica, where repeating the request does no harm
  loadBalancer,
  circuitBreaker,
  proxy,
];

/** Of these, the stages of a route that is split which run before a side is chosen: they belong to the route. */
const OF_ROUTE: ReadonlySet<Stage> = new Set([
  headers,
  compression,
  cors,
  addresses,
  queryToken,
  cookieToken,
  apiKey,
  loginContent,
  addressRateLimit,
  auth, // what it says of the caller is what the side is chosen by
]);

/** The stages of a route that is split, up to the choice of a side. */
export const splitChain: readonly Stage[] = [...externalChain.filter((stage) => OF_ROUTE.has(stage)), split];

/** The stages from there on: time, permits and everything else belong to the service that was chosen. */
export const sideChain: readonly Stage[] = externalChain.filter((stage) => !OF_ROUTE.has(stage));

/** The stages that a service's request to another passes: there are no limits, tokens or cache on the internal port. */
export const internalChain: readonly Stage[] = [timeout, failover, loadBalancer, circuitBreaker, proxy];

/** Makes the handlers of a chain. */
export type HandlersOf = (
  chain: readonly Stage[],
  context: Omit<StageContext, 'rest'>,
) => readonly RequestHandler[];

/** Port 8000, for users. */
export function externalApp(parts: Parts, handlersOf: HandlersOf = stagesOf): Express {
  const chains: Readonly<Record<Extent, readonly Stage[]>> = {
    whole: externalChain,
    untilChoice: splitChain,
    fromChoice: sideChain,
  };
  return gatewayApp(parts, 'external', (context, extent) => handlersOf(chains[extent], context));
}

/** Port 8001, for services calling each other under `/internal/<service>/...`, and for operators. Never expose it. */
export function internalApp(parts: Parts, handlersOf: HandlersOf = stagesOf): Express {
  return gatewayApp(parts, 'internal', (context) => handlersOf(internalChain, context));
}

type ChainOf = (context: Omit<StageContext, 'rest'>, extent: Extent) => readonly RequestHandler[];

function gatewayApp(parts: Parts, port: Port, chainOf: ChainOf): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.disable('query parser');
  // Composed here: each layer in Express's own stack would match the path once more.
  app.use(compose([...entrance(parts, port), resolve(parts, port, chainOf)]));
  if (port === 'external') app.use(unrouted(parts));
  app.use(errorReplies(errorLog({ port, ...parts })));
  return app;
}

/** What every request passes before its service is known, in this order. */
function entrance(parts: Parts, port: Port): RequestHandler[] {
  const { settings, clock, spans, trustsPeer } = parts;
  // A trace context is taken from services and trusted proxies, never from users.
  const trusts = (req: Request) => port === 'internal' || trustsPeer(peerAddress(req));
  return [
    ...(port === 'internal' ? [refuseBrowsers(settings)] : []), // before wellKnown: pages of other sites must not read metrics either
    wellKnown(parts, port),
    observe({ ...accessLog({ port, ...parts }), clock }),
    trace({ trusts, spans }),
    ...(settings.serverTiming ? [serverTiming()] : []),
    ...(port === 'internal' ? [adminRoutes(parts)] : []),
  ];
}

/**
 * Refuses requests that a page of another site makes through the browser of somebody who can reach the internal port.
 */
function refuseBrowsers({ internalNames }: Parts['settings']): RequestHandler {
  const refusalOf = crossSiteRefusal({ names: internalNames });
  return function refuseBrowsersMiddleware(req, res, next) {
    const exchange = exchangeOf(res);
    exchange.refusal ??= refusalOf(req);
    next();
  };
}

/**
 * What the file's `defaults` say of responses holds for refusals of requests that no service was found for, and a preflight
 * for such a request is answered: the page could not read the 404 otherwise.
 */
function unrouted(parts: Parts): ErrorRequestHandler {
  const handlers = responseHandlers(parts, parts.settings.defaults);
  const apply = compose(handlers);
  return function unroutedMiddleware(error, req, res, next) {
    const exchange = exchangeOf(res);
    const isRouted = exchange.service !== 'none' || exchange.route !== '' || writerOf(res).isEdited;
    if (handlers.length === 0 || isRouted || res.headersSent) return next(error);
    exchange.preflight =
      !exchange.refusal && parts.settings.defaults.cors !== undefined && askedMethod(req) !== undefined;
    apply(req, res, () => next(error));
  };
}

function resolve(parts: Parts, port: Port, chainOf: ChainOf): RequestHandler {
  const chainFor = (service: ServiceParts, extent: Extent) => chainOf({ port, parts, service }, extent);
  const mount = port === 'internal' ? '/internal' : '';
  const { routes } = parts.settings;
  return createRouter({
    services: parts.services,
    routes,
    mount,
    hasRoutes: port === 'external',
    chainFor,
    responseHandlersFor: (policies) => responseHandlers(parts, policies),
    addressHandlersFor: (policies) => addressHandlers(parts, policies),
  });
}

/** Makes each stage's handler, from the last stage to the first, since a stage is given the handlers behind it. */
function stagesOf(chain: readonly Stage[], context: Omit<StageContext, 'rest'>): RequestHandler[] {
  const handlers: RequestHandler[] = [];
  for (const stage of chain.toReversed()) {
    const handler = stage({ ...context, rest: compose([...handlers]) });
    if (handler) handlers.unshift(timed(stage, handler));
  }
  return handlers;
}

/** The stages that begin a new phase of the request's time. Every other stage counts towards the phase before it. */
const PHASES: ReadonlyMap<Stage, Phase> = new Map([
  [concurrency, 'permit'],
  [auth, 'auth'],
  [cache, 'cache'],
  [failover, 'upstream'],
]);

function timed(stage: Stage, handler: RequestHandler): RequestHandler {
  const phase = PHASES.get(stage);
  if (!phase) return handler;
  return function timedStage(req, res, next) {
    exchangeOf(res).phases?.begin(phase);
    return handler(req, res, next);
  };
}
