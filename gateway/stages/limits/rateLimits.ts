import { exchangeOf } from '../../../lib/exchange/exchange.ts';
import { clientAddress } from '../../../lib/http/clientAddress.ts';
import { rateLimit as rateLimitMiddleware } from '../../../lib/ratelimit/middleware.ts';
import type { Stage } from '../stage.ts';

/** Lets so many requests of an address through in a time. */
export const addressRateLimit: Stage = ({ parts: { rateLimits, trustsPeer, metrics }, service }) =>
  rateLimits.address &&
  rateLimitMiddleware({
    limit: rateLimits.address,
    keyOf: clientAddress(trustsPeer),
    onLimited: () => metrics.rateLimited.count('address', service.settings.path),
  });

/** Lets so many requests of a user through in a time. */
export const identityRateLimit: Stage = ({ parts: { rateLimits, metrics }, service }) =>
  rateLimits.identity &&
  rateLimitMiddleware({
    limit: rateLimits.identity,
    keyOf: (_req, res) => exchangeOf(res).identity?.key,
    onLimited: () => metrics.rateLimited.count('identity', service.settings.path),
  });
