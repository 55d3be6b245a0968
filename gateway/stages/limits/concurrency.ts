import { logouts } from '../../../lib/auth/revocation/logouts.ts';
import { concurrency as concurrencyMiddleware, countIdentity } from '../../../lib/concurrency/middleware.ts';
import type { Parts, ServiceParts } from '../../wiring/parts.ts';
import type { Stage } from '../stage.ts';
import { limitOptions } from './limitOptions.ts';

/** Lets so many requests through at a time, of the service, of the gateway, and of each caller. */
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

/** Counts a request as its user's from here on, and no longer as its address's. */
export const identityConcurrency: Stage = () => countIdentity();

/** Which requests are logouts: paths of every service count, wherever a request for one of them comes from. */
function logoutsOf({ facts }: Parts, { settings: { token } }: ServiceParts) {
  return { paths: facts.revokePaths, always: token === 'revoke' };
}
