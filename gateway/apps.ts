import express, { type Express, type Request, type RequestHandler } from 'express';
import { crossSiteRefusal } from '../lib/crosssite/refusal.ts';
import { exchangeOf } from '../lib/exchange/exchange.ts';
import type { Lap } from '../lib/exchange/laps.ts';
import { observe } from '../lib/metrics/middleware.ts';
import { serverTiming } from '../lib/metrics/serverTiming.ts';
import { peerAddress } from '../lib/proxy/request/forwarded.ts';
import { trace } from '../lib/tracing/middleware.ts';
import { adminRoutes } from './admin.ts';
import { compose } from './compose.ts';
import { errorReplies } from './errors.ts';
import { wellKnown } from './health/wellKnown.ts';
import { accessLog, errorLog } from './logs/accessLog.ts';
import type { Port } from './port.ts';
import { createRouter } from './router.ts';
import {
  admit,
  admitLogout,
  authenticate,
  balance,
  breaker,
  cache,
  collectLogin,
  countIdentity,
  deadline,
  failover,
  forward,
  limitAddress,
  limitIdentity,
  type Stage,
  type StageContext,
  takeQueryToken,
} from './stages.ts';
import type { Parts, ServiceParts } from './wiring/parts.ts';

/** What a user's request to a service meets, in run order. Before it every request is observed and resolved. */
export const externalChain: readonly Stage[] = [
  takeQueryToken, // before all that looks at the target: what stands there is in cache keys, and goes to services
  collectLogin, // before deadline and admit: a login that dribbles in holds no permit, and its service has all its time
  deadline, // before admit: who waits for a permit waits no longer than for an answer
  limitAddress, // before authenticate: it guards the login too
  admit, // before authenticate: a flood of bad tokens costs permits, not signatures
  authenticate, // before cache: entries belong to an identity
  countIdentity, // right behind: until here all users of one address share what one caller may hold
  admitLogout, // behind authenticate, which has revoked the token: that waits for no content
  limitIdentity, // before cache: a hit is a request
  cache, // before balance: a hit calls nobody
  failover, // runs what follows once more for another replica, where that can do no harm
  balance,
  breaker,
  forward,
];

/** What a service's request to another meets: no limits, no tokens, no cache. */
export const internalChain: readonly Stage[] = [deadline, failover, balance, breaker, forward];

/** Port 8000, for users. */
export function externalApp(parts: Parts): Express {
  return gatewayApp(parts, 'external', '', externalChain);
}

/** Port 8001, for services calling each other under `/internal/<service>/...`, and for operators. Never expose it. */
export function internalApp(parts: Parts): Express {
  return gatewayApp(parts, 'internal', '/internal', internalChain);
}

function gatewayApp(parts: Parts, port: Port, mount: string, chain: readonly Stage[]): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.disable('query parser');
  // Composed here, because each layer of Express's own would look at the path once more.
  app.use(compose([...entrance(parts, port), resolve(parts, port, mount, chain)]));
  app.use(errorReplies(errorLog({ port, ...parts })));
  return app;
}

/** What every request meets before it is known where it goes, in run order. */
function entrance(parts: Parts, port: Port): RequestHandler[] {
  const { settings, clock, spans, trustsPeer } = parts;
  // Users do not say which trace they are part of; services and trusted proxies do.
  const trusts = (req: Request) => port === 'internal' || trustsPeer(peerAddress(req));
  return [
    ...(port === 'internal' ? [refuseBrowsers(settings)] : []), // before wellKnown: metrics are for no other site, either
    wellKnown(parts, port),
    observe({ ...accessLog({ port, ...parts }), clock }),
    trace({ trusts, spans }),
    ...(settings.serverTiming ? [serverTiming()] : []),
    ...(port === 'internal' ? [adminRoutes(parts)] : []),
  ];
}

/** Pages of other sites get nothing of the internal port, through the browser of somebody who can reach it. */
function refuseBrowsers({ internalNames }: Parts['settings']): RequestHandler {
  const refusalOf = crossSiteRefusal({ names: internalNames });
  return function refuseBrowsersMiddleware(req, res, next) {
    const exchange = exchangeOf(res);
    exchange.refusal ??= refusalOf(req);
    next();
  };
}

function resolve(parts: Parts, port: Port, mount: string, chain: readonly Stage[]): RequestHandler {
  const chainFor = (service: ServiceParts) => stagesOf(chain, { port, parts, service });
  return createRouter({ services: parts.services, mount, chainFor });
}

/** Each stage with the handlers behind it: from the last to the first. */
function stagesOf(chain: readonly Stage[], context: Omit<StageContext, 'rest'>): RequestHandler[] {
  const handlers: RequestHandler[] = [];
  for (const stage of chain.toReversed()) {
    const handler = stage({ ...context, rest: compose([...handlers]) });
    if (handler) handlers.unshift(timed(stage, handler));
  }
  return handlers;
}

/** The stages that begin a lap of the request's time. A stage that is not here goes on in the lap before. */
const LAPS: ReadonlyMap<Stage, Lap> = new Map([
  [admit, 'permit'],
  [authenticate, 'auth'],
  [cache, 'cache'],
  [failover, 'upstream'],
]);

function timed(stage: Stage, handler: RequestHandler): RequestHandler {
  const lap = LAPS.get(stage);
  if (!lap) return handler;
  return function timedStage(req, res, next) {
    exchangeOf(res).laps?.begin(lap);
    return handler(req, res, next);
  };
}
