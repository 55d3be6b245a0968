import type { PolicySettings } from '../../../config/policies/policies.ts';
import { revokePaths } from '../../../config/sections/revokePaths.ts';
import type { AskingOptions } from '../../../lib/auth/asking.ts';
import { auth as authMiddleware } from '../../../lib/auth/middleware.ts';
import type { TokenReadingOptions } from '../../../lib/auth/sources/readToken.ts';
import { allowsOrigin } from '../../../lib/cors/origins.ts';
import { exchangeOf } from '../../../lib/exchange/exchange.ts';
import { isLogged } from '../../../lib/logging/logger.ts';
import type { Parts } from '../../wiring/parts.ts';
import type { Stage } from '../stage.ts';

/** Asks for a token and checks it. */
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
