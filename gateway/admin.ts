import { type ErrorRequestHandler, type Request, type RequestHandler, Router } from 'express';
import type { Settings } from '../config/config.ts';
import { leadsTo } from '../config/sections/services.ts';
import { AdminGuessesError, AdminTokenError } from '../lib/admin/errors.ts';
import { adminGuard } from '../lib/admin/guard.ts';
import { withoutKeys } from '../lib/apikeys/keyText.ts';
import { apiKeyRoutes } from '../lib/apikeys/routes.ts';
import { revocationRoutes } from '../lib/auth/revocation/revocationRoutes.ts';
import { cacheAdmin, type MayBeStored, type ServiceOf } from '../lib/cache/admin.ts';
import { CautiousTime } from '../lib/clock/cautiousTime.ts';
import { exchangeOf } from '../lib/exchange/exchange.ts';
import { clientAddress } from '../lib/http/clientAddress.ts';
import { pathOf } from '../lib/http/path.ts';
import { timeout } from '../lib/timeout/middleware.ts';
import { BadTargetError } from './errors/requestErrors.ts';
import { throttled } from './logs/throttled.ts';
import { nearestName, serviceNames } from './registries/namesOf.ts';
import type { Parts } from './wiring/parts.ts';

/** First path segment of the admin API, on the internal port. */
export const ADMIN_PATH = '/admin';

/** How much of an unknown name an error message repeats. */
const SHOWN_CHARACTERS = 60;

/**
 * Everything under `/admin`, protected by the admin token. Without `ADMIN_TOKEN` there is no such path. Each use is
 * logged.
 */
export function adminRoutes(parts: Parts): RequestHandler {
  const { settings, clock, logger, metrics, stores } = parts;
  const { adminToken } = settings;
  if (adminToken === undefined) return (_req, _res, next) => next();
  const routes = Router();
  routes.use(enter);
  routes.use(
    timeout({
      timeoutMs: settings.requestTimeoutMs,
      onTimeout: () => metrics.timeouts.count(ADMIN_PATH, 'internal'),
      clock,
    }),
  );
  routes.use(adminGuard({ token: adminToken, addressOf: clientAddress(parts.trustsPeer), clock }));
  routes.use('/revocations', revocationsOf(parts));
  routes.use(
    '/keys',
    apiKeyRoutes({
      ring: parts.apiKeys.ring,
      lastUsed: parts.apiKeys.lastUsed,
      onDone: (action, { id, name, owner }, req) =>
        logger.info(`Admin: API key ${action}`, {
          ...usedBy(req),
          apiKey: id,
          apiKeyName: name,
          apiKeyOwner: owner,
        }),
      now: () => clock.now(),
    }),
  );
  const serviceOf = serviceNamed(settings);
  const mayBeStored = pathsStored(settings);
  routes.use('/cache', cacheAdmin({ store: stores.responses, serviceOf, mayBeStored, clock }));
  routes.use(refusals(parts));
  return Router({ caseSensitive: true }).use(ADMIN_PATH, routes);
}

const enter: RequestHandler = (_req, res, next) => {
  const exchange = exchangeOf(res);
  if (exchange.refusal) return next('router');
  exchange.service = ADMIN_PATH;
  res.setHeader('Cache-Control', 'no-store');
  next();
};

function revocationsOf({ revocations, verify, logger, clock }: Parts): RequestHandler {
  const time = new CautiousTime(clock);
  return revocationRoutes({
    revocations,
    verify,
    onRevoked: (revocation, req) => logger.info('Admin: revoked', { ...usedBy(req), ...revocation }),
    onUndone: (id, req) => logger.info('Admin: revocation undone', { ...usedBy(req), id }),
    // The latest time it may be: with a clock that is behind, tokens issued a moment ago would escape the revocation.
    now: () => time.latestMs(),
  });
}

/** Finds a service by its path, or by any of the names that a registry may use for it. */
function serviceNamed(settings: Settings): ServiceOf {
  const names = serviceNames(settings);
  return (named) => {
    const service = settings.services.find(({ path }) => path === named) ?? names.find(named);
    if (service) return service;
    const meant = nearestName(named, settings);
    const hint =
      meant === undefined ? 'expected a path, such as /budgeting, or a name' : `did you mean ${meant}?`;
    return `no service is called ${JSON.stringify(withoutKeys(named).slice(0, SHOWN_CHARACTERS))}: ${hint}`;
  };
}

/** Responses are stored under the path of their service; of one that gets its whole path, by a rewrite, under any other. */
function pathsStored({ services }: Settings): MayBeStored {
  return (kind, path) =>
    services.some((service) => {
      if (leadsTo(service, pathOf(path))) return true;
      return kind === 'prefix' && (service.path.startsWith(path) || !service.stripPrefix);
    });
}

/** Counts and logs refused requests. Guesses that are refused unread may come without end: one line in ten seconds. */
function refusals({ logger, metrics, clock }: Parts): ErrorRequestHandler {
  const logSlowed = throttled(clock, (req: Request) =>
    logger.warn(
      'Admin: too many wrong tokens, and nothing from this peer is looked at for a while',
      usedBy(req),
    ),
  );
  return (error, req, _res, next) => {
    if (error instanceof AdminTokenError) {
      metrics.adminRefused.count(error.cause === undefined ? 'wrong_token' : 'no_token');
      logger.warn('Admin: refused', usedBy(req));
    } else if (error instanceof AdminGuessesError) {
      metrics.adminRefused.count('too_many');
      logSlowed(req);
    }
    // Express throws this when it cannot decode the path.
    next(error?.name === 'URIError' ? new BadTargetError(error.message, { cause: error }) : error);
  };
}

function usedBy(req: Request): Record<string, unknown> {
  const { requestId } = exchangeOf(req.res as NonNullable<Request['res']>);
  return { requestId, method: req.method, peer: req.socket.remoteAddress };
}
