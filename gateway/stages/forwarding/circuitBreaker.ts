import { circuitBreaker as circuitBreakerMiddleware } from '../../../lib/circuitbreaker/middleware.ts';
import { addressOf, callerOf } from '../../../lib/exchange/caller.ts';
import { exchangeOf } from '../../../lib/exchange/exchange.ts';
import type { Stage } from '../stage.ts';

/** Asks the replica's breaker, and tells it what became of the request. */
export const circuitBreaker: Stage = ({ parts: { trustsPeer }, service: { settings, replicas } }) => {
  if (!settings.breaker) return undefined;
  return circuitBreakerMiddleware({
    breakerFor: (res) => replicas.breakerOf(exchangeOf(res).attempt?.target.key ?? settings.name),
    callerOf: callerOf(trustsPeer),
    addressOf: addressOf(trustsPeer),
  });
};
