import type { RequestHandler } from 'express';
import type { PolicySettings } from '../../../config/policies/policies.ts';
import { ApiKeyError } from '../../../lib/apikeys/errors.ts';
import { apiKeyAuth } from '../../../lib/apikeys/middleware.ts';
import { apiKeyReader } from '../../../lib/apikeys/reading.ts';
import type { AskingOptions } from '../../../lib/auth/asking.ts';
import { auth as authMiddleware } from '../../../lib/auth/middleware.ts';
import { type TokenReadingOptions, tokenReading } from '../../../lib/auth/sources/readToken.ts';
import { allowsOrigin } from '../../../lib/cors/origins.ts';
import { exchangeOf } from '../../../lib/exchange/exchange.ts';
import { isLogged } from '../../../lib/logging/logger.ts';
import type { Parts } from '../../wiring/parts.ts';
import type { Stage, StageContext } from '../stage.ts';
import { namesOf } from './tokenSources.ts';

/** Asks for a token, or an API key where the route takes one, and checks it. */
export const auth: Stage = (context) => {
  const { authenticator, tokensUnderWay, metrics, logger, clock } = context.parts;
  const { settings: own } = context.service;
  const ofTokens = authMiddleware({
    authenticator,
    ...tokenTerms(context.parts, own),
    services: context.service.sides?.map((side) => side.service),
    requirement: own.auth.require,
    maxHoldMs: own.requestTimeoutMs,
    onAccepted: () => metrics.jwtAccepted.count(),
    onRejected: ({ code, message }, res) => {
      metrics.jwtRejected.count(code);
      // The access log says the same, unless ACCESS_LOG_SAMPLE leaves this request out.
      if (!isLogged(logger, 'debug')) return;
      logger.debug(`JWT refused: ${code}`, { requestId: exchangeOf(res).requestId, tokenProblem: message });
    },
    onIssued: () => metrics.jwtGenerated.count(),
    onNotAdmitted: (error) => logger.warn('JWT handed out by a service was not admitted', { error }),
    onUpgraded: (connection, accepted) => tokensUnderWay.addUpgraded(connection, accepted),
    clock,
  });
  return namesOf(own.auth, 'apiKey').length === 0 ? ofTokens : keyAuth(context, ofTokens);
};

/** Checks API keys, and leaves requests without one to `otherwise`. */
function keyAuth({ parts, service }: Omit<StageContext, 'rest'>, otherwise: RequestHandler): RequestHandler {
  const { metrics, logger } = parts;
  const { keys, lastUsed, underWay } = parts.apiKeys;
  const terms = tokenTerms(parts, service.settings);
  const { read, missing } = tokenReading(terms);
  return apiKeyAuth({
    keys,
    ...terms,
    read: apiKeyReader(read),
    missing: missing instanceof ApiKeyError ? missing : undefined,
    otherwise,
    requirement: service.settings.auth.require,
    underWay,
    onAccepted: ({ apiKey: { id } }) => {
      metrics.apiKeysAccepted.count();
      lastUsed.note(id);
    },
    onRejected: ({ code, message }, res) => {
      metrics.apiKeysRefused.count(code);
      if (!isLogged(logger, 'debug')) return;
      logger.debug(`API key refused: ${code}`, {
        requestId: exchangeOf(res).requestId,
        apiKeyProblem: message,
      });
    },
  });
}

/** Which requests are asked for a token, and where it may be. */
export function tokenTerms(
  { settings, facts }: Pick<Parts, 'settings' | 'facts'>,
  { auth: { need, sources }, token, cors }: PolicySettings,
): AskingOptions & TokenReadingOptions {
  return {
    need,
    sources,
    isAllowedOrigin: cors?.credentials ? allowsOrigin(cors.origins) : undefined,
    token,
    issuePaths: settings.authIssuePaths,
    revokePaths: facts.revokePaths,
  };
}
