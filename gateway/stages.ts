import type { RequestHandler } from 'express';
import type { AuthRule } from '../config/policies/auth/auth.ts';
import type { PolicySettings } from '../config/policies/policies.ts';
import { revokePaths } from '../config/sections/revokePaths.ts';
import { leadsTo } from '../config/sections/services.ts';
import { addresses as addressesMiddleware } from '../lib/addresses/middleware.ts';
import type { AskingOptions } from '../lib/auth/asking.ts';
import { issuingRequests } from '../lib/auth/issuePaths.ts';
import { auth as authMiddleware } from '../lib/auth/middleware.ts';
import { logouts } from '../lib/auth/revocation/logouts.ts';
import { cookieToken as cookieTokenMiddleware } from '../lib/auth/sources/cookieToken.ts';
import { queryToken as queryTokenMiddleware } from '../lib/auth/sources/queryToken.ts';
import type { TokenReadingOptions } from '../lib/auth/sources/readToken.ts';
import { cache as cacheMiddleware } from '../lib/cache/middleware.ts';
import { outcomeOf } from '../lib/cache/rules/status.ts';
import { CircuitOpenError } from '../lib/circuitbreaker/errors.ts';
import { circuitBreaker as circuitBreakerMiddleware } from '../lib/circuitbreaker/middleware.ts';
import { collectContent } from '../lib/concurrency/collectContent.ts';
import { concurrency as concurrencyMiddleware, countIdentity } from '../lib/concurrency/middleware.ts';
import { allowsOrigin } from '../lib/cors/origins.ts';
import { addressOf, callerOf } from '../lib/exchange/caller.ts';
import { exchangeOf } from '../lib/exchange/exchange.ts';
import { FieldEdit } from '../lib/headers/fieldEdit.ts';
import { clientAddress, clientIp } from '../lib/http/clientAddress.ts';
import { isNegotiated } from '../lib/loadbalancer/choice/negotiated.ts';
import { loadBalancer as loadBalancerMiddleware } from '../lib/loadbalancer/middleware.ts';
import { failover as failoverMiddleware } from '../lib/loadbalancer/retry/failover.ts';
import { isLogged } from '../lib/logging/logger.ts';
import { UpstreamUnreachableError } from '../lib/proxy/errors.ts';
import { proxy as proxyMiddleware } from '../lib/proxy/middleware.ts';
import type { RequestFieldsOptions } from '../lib/proxy/request/requestFields.ts';
import { rateLimit as rateLimitMiddleware } from '../lib/ratelimit/middleware.ts';
import { timeout as timeoutMiddleware } from '../lib/timeout/middleware.ts';
import { compose } from './compose.ts';
import type { Port } from './port.ts';
import { MAX_COLLECTED_BYTES } from './wiring/limits.ts';
import type { Parts, ServiceParts } from './wiring/parts.ts';

/**
 * What a stage is made from. A stage runs once for each service, at start; the handler it returns runs for each
 * request.
 */
export interface StageContext {
  readonly port: Port;
  readonly parts: Parts;
  readonly service: ServiceParts;
  /** All stages after this one, as one handler. It can be run again, and for another response. */
  readonly rest: RequestHandler;
}

/** Options that all concurrency limits have in common. */
function limitOptions({ trustsPeer, metrics, clock }: Parts, { settings: { path } }: ServiceParts) {
  return { callerOf: callerOf(trustsPeer), onLimitReached: () => metrics.limitReached.count(path), clock };
}

/** Options of the stages that wait for a request's content before the request may go on. */
function contentOptions({ parts, service }: StageContext) {
  const { limits } = parts;
  return {
    permits: limits.content,
    underWay: limits.collections,
    maxBytes: Math.min(MAX_COLLECTED_BYTES, service.settings.maxBodyBytes || MAX_COLLECTED_BYTES),
    timeoutMs: service.settings.requestTimeoutMs,
    ...limitOptions(parts, service),
  };
}

/** Whether requests to `path` can get to this service: routes that belong to none may lead from any path to any. */
function mayLeadTo({ settings }: ServiceParts, path: string, { routes }: Parts['settings']): boolean {
  return routes.length > 0 || leadsTo(settings, path);
}

function requestEditOf({ settings: { requestRules } }: ServiceParts): FieldEdit | undefined {
  return requestRules && new FieldEdit(requestRules);
}

/** Makes a stage's handler; undefined where the settings do not want the stage, which then costs nothing. */
export type Stage = (context: StageContext) => RequestHandler | undefined;

export const queryToken: Stage = ({ parts: { settings }, service }) => {
  const below = settings.authQueryTokenPaths.filter((path) => mayLeadTo(service, path, settings));
  return composed([
    ...(below.length > 0 ? [queryTokenMiddleware({ below })] : []),
    ...namesOf(service.settings.auth, 'query').map((name) => queryTokenMiddleware({ name })),
  ]);
};

export const cookieToken: Stage = ({ service: { settings } }) =>
  composed(
    namesOf(settings.auth, 'cookie').map((name) =>
      cookieTokenMiddleware({ name, passes: settings.passAuthorization }),
    ),
  );

/** The names under which cookies or the query may carry a token. */
function namesOf({ sources = [] }: AuthRule, from: 'cookie' | 'query'): string[] {
  return sources.flatMap((source) => (source.from === from ? source.name : []));
}

function composed(handlers: readonly RequestHandler[]): RequestHandler | undefined {
  return handlers.length > 1 ? compose(handlers) : handlers[0];
}

export const loginContent: Stage = (context) => {
  const { parts, service } = context;
  const { authIssuePaths } = parts.settings;
  const isLogin = service.settings.token === 'issue';
  if (!isLogin && !authIssuePaths.some((path) => mayLeadTo(service, path, parts.settings))) return undefined;
  return collectContent({
    ...contentOptions(context),
    appliesTo: issuingRequests(authIssuePaths, isLogin),
  });
};

export const concurrency: Stage = ({ parts, service }) => {
  const { limits, settings } = parts;
  const isLogout = logouts(logoutsOf(parts, service));
  const revocation = concurrencyMiddleware({ gateway: limits.revocations, ...limitOptions(parts, service) });
  const ordinary = concurrencyMiddleware({
    service: service.permits.requests,
    gateway: limits.gateway,
    streams: { service: service.permits.streams, gateway: limits.streams, afterMs: settings.streamAfterMs },
    ...limitOptions(parts, service),
  });
  return function concurrencyStage(req, res, next) {
    return (isLogout(req, res) ? revocation : ordinary)(req, res, next);
  };
};

/** Which requests are logouts: paths of every service count, wherever a request for one of them comes from. */
function logoutsOf({ settings }: Parts, { settings: { token } }: ServiceParts) {
  return { paths: revokePaths(settings), always: token === 'revoke' };
}

export const logoutConcurrency: Stage = (context) => {
  const { parts, service } = context;
  const collectAndAdmit = compose([
    collectContent(contentOptions(context)),
    concurrencyMiddleware({ gateway: parts.limits.logouts, ...limitOptions(parts, service) }),
  ]);
  return function logoutConcurrencyStage(req, res, next) {
    const { revokes, admission } = exchangeOf(res);
    if (!revokes) return next();
    // The token is revoked. While the client sends the rest of its request, others must be able to revoke theirs.
    admission?.release();
    return collectAndAdmit(req, res, next);
  };
};

export const identityConcurrency: Stage = () => countIdentity();

export const timeout: Stage = ({ port, parts, service: { settings } }) => {
  const { clock, metrics } = parts;
  return timeoutMiddleware({
    timeoutMs: settings.requestTimeoutMs,
    bodyTimeoutMs: parts.settings.bodyTimeoutMs,
    minUploadRate: parts.settings.minUploadRate,
    // A service that calls another may pass on its own deadline; a user may not.
    acceptCallersDeadline: port === 'internal',
    onTimeout: () => metrics.timeouts.count(settings.path, port),
    clock,
  });
};

export const addresses: Stage = ({ parts, service }) => addressHandlers(parts, service.settings)[0];

/** The handler that refuses clients by their address; none where all may come. */
export function addressHandlers(
  { trustsPeer }: Pick<Parts, 'trustsPeer'>,
  { allow, deny }: PolicySettings,
): RequestHandler[] {
  if (allow === undefined && deny.length === 0) return [];
  return [addressesMiddleware({ allow, deny, addressOf: clientIp(trustsPeer) })];
}

export const addressRateLimit: Stage = ({ parts: { rateLimits, trustsPeer, metrics }, service }) =>
  rateLimits.address &&
  rateLimitMiddleware({
    limit: rateLimits.address,
    keyOf: clientAddress(trustsPeer),
    onLimited: () => metrics.rateLimited.count('address', service.settings.path),
  });

export const identityRateLimit: Stage = ({ parts: { rateLimits, metrics }, service }) =>
  rateLimits.identity &&
  rateLimitMiddleware({
    limit: rateLimits.identity,
    keyOf: (_req, res) => exchangeOf(res).identity?.key,
    onLimited: () => metrics.rateLimited.count('identity', service.settings.path),
  });

/** Which requests are asked for a token, and where it may be. */
export function tokenTerms(
  settings: Parts['settings'],
  { auth: { need, sources }, token, cors }: PolicySettings,
): AskingOptions & TokenReadingOptions {
  return {
    need,
    sources,
    isAllowedOrigin: cors?.credentials ? allowsOrigin(cors.origins) : undefined,
    token,
    issuePaths: settings.authIssuePaths,
    revokePaths: revokePaths(settings),
  };
}

export const auth: Stage = ({
  parts: { authenticator, upgradedConnections, settings, metrics, logger, clock },
  service,
}) => {
  return authMiddleware({
    authenticator,
    ...tokenTerms(settings, service.settings),
    requirement: service.settings.auth.require,
    maxHoldMs: service.settings.requestTimeoutMs,
    onAccepted: () => metrics.jwtAccepted.count(),
    onRejected: ({ code, message }, res) => {
      metrics.jwtRejected.count(code);
      // The access log says the same, unless ACCESS_LOG_SAMPLE leaves this request out.
      if (!isLogged(logger, 'debug')) return;
      logger.debug(`JWT refused: ${code}`, { requestId: exchangeOf(res).requestId, tokenProblem: message });
    },
    onIssued: () => metrics.jwtGenerated.count(),
    onNotAdmitted: (error) => logger.warn('JWT handed out by a service was not admitted', { error }),
    onUpgraded: (connection, accepted) => upgradedConnections.add(connection, accepted),
    clock,
  });
};

export const cache: Stage = ({ parts: { settings, gatheringRoom, metrics }, service, rest }) => {
  const { path, stripPrefix, basePath, cacheTtlMs, cacheShared } = service.settings;
  return cacheMiddleware({
    service: service.cache,
    origin: rest,
    prefix: stripPrefix ? path : '',
    basePath,
    defaultTtlMs: cacheTtlMs,
    maxBodyBytes: settings.cacheMaxEntryBytes,
    room: gatheringRoom,
    sharing: cacheShared,
    requestEdit: requestEditOf(service),
    onVerdict: (verdict) => {
      const outcome = outcomeOf(verdict);
      if (outcome === 'hit') metrics.cacheHits.count(path);
      else if (outcome === 'miss') metrics.cacheMisses.count(path);
    },
    onDeclined: () => metrics.cacheDeclined.count(path),
  });
};

export const failover: Stage = ({ parts: { metrics, logger, clock }, service, rest }) => {
  const { path, retries, hedges, requestTimeoutMs } = service.settings;
  return failoverMiddleware({
    pool: service.replicas.pool,
    budget: retries ? service.retryBudget : undefined,
    attempt: rest,
    gotNoResponse: (error) => error instanceof UpstreamUnreachableError,
    isRefused: (error) => error instanceof CircuitOpenError && error.afterChoice,
    onFailover: ({ target }, error) => {
      metrics.failovers.count(path, target.id);
      logger.debug(`Failover: trying another replica than ${target.url.origin}`, { error });
    },
    hedging: hedges ? service.hedgings.within(requestTimeoutMs) : undefined,
    onHedged: (first, second) => {
      metrics.hedges.count(path);
      logger.debug(
        `Hedge: ${first.target.url.origin} is silent, ${second.target.url.origin} is asked as well`,
      );
    },
    onHedgeWon: () => metrics.hedgesWon.count(path),
    clock,
  });
};

export const loadBalancer: Stage = ({ parts, service: { settings, replicas, absence } }) => {
  const { metrics, logger, registry, spans, trustsPeer, clock } = parts;
  const deadlineMs = settings.requestTimeoutMs;
  // A route with `breaker: off`, of a service that has breakers: its requests say nothing for them or against a replica.
  const isIndifferent = !settings.breaker && replicas.hasBreakers;
  const caller = callerOf(trustsPeer);
  const address = addressOf(trustsPeer);
  return loadBalancerMiddleware({
    pool: replicas.pool,
    admits: settings.breaker
      ? ({ key }, req, res) =>
          replicas.isClosed(key) || replicas.breakerOf(key).admitsCaller(caller(req, res))
      : undefined,
    ignoresBreakers: isIndifferent,
    allSuspended: (suspended, req, res) => {
      for (const { key } of suspended) replicas.breakerOf(key).turnedAway(caller(req, res));
      const { replica, retryAfterMs } = replicas.nextTrial(suspended);
      logger.warn(`⚡ Circuit breaker OPEN for ${replica.url.origin} - request rejected (fail-fast)`);
      metrics.breakerRejected.count(settings.path);
      return new CircuitOpenError(retryAfterMs);
    },
    stickyTo: (req, res) =>
      isNegotiated(req, exchangeOf(res).upgradeHead !== undefined) ? caller(req, res) : undefined,
    onSelected: (replica, attempt, res) => {
      spans?.attempt(attempt, res);
      metrics.lbRequests.count(settings.path, replica.id);
      if (replica.listed) registry.increment(replica.registered);
    },
    judgeAbsence: isIndifferent
      ? undefined
      : (attempt, res) => {
          const who = caller(res.req, res);
          const at = address(res.req, res);
          return absence.judge(attempt, who, {
            address: at,
            deadlineMs,
            othersAreServed: () => replicas.hasServedAnother(who, at),
          });
        },
    busyWithLostMs: deadlineMs,
    clock,
  });
};

export const circuitBreaker: Stage = ({ parts: { trustsPeer }, service: { settings, replicas } }) => {
  if (!settings.breaker) return undefined;
  return circuitBreakerMiddleware({
    breakerFor: (res) => replicas.breakerOf(exchangeOf(res).attempt?.target.key ?? settings.name),
    callerOf: callerOf(trustsPeer),
    addressOf: addressOf(trustsPeer),
  });
};

/** What becomes of the fields of a request on their way to the service. */
export function requestFieldTerms({
  port,
  parts,
  service,
}: Omit<StageContext, 'rest'>): RequestFieldsOptions {
  return {
    trustsPeer: parts.trustsPeer,
    via: parts.settings.viaName,
    host: service.settings.host,
    // What users send is changed, and not what services say to each other.
    edit: port === 'external' ? requestEditOf(service) : undefined,
    // A service may call another in its own name or pass on a user's identity.
    ownsIdentity: port === 'external',
    passesAuthorization: service.settings.passAuthorization,
  };
}

export const proxy: Stage = (context) => {
  const { parts, service } = context;
  const { transport, settings, limits, metrics, onContent, onExhausted, clock } = parts;
  const { edit: requestEdit, ...fields } = requestFieldTerms(context);
  return proxyMiddleware({
    transport,
    ...fields,
    requestEdit,
    basePath: service.settings.basePath,
    publicPaths: service.settings.publicPaths,
    idleTimeoutMs: service.settings.idleTimeoutMs,
    maxBodyBytes: service.settings.maxBodyBytes,
    sendTimeoutMs: settings.sendTimeoutMs,
    viaOnResponses: settings.viaOnResponses,
    upgrades: limits.upgrades,
    onContent,
    onExhausted: (error) => {
      metrics.exhausted.count();
      onExhausted(error);
    },
    clock,
  });
};
