import { issuingRequests } from '../../../lib/auth/issuePaths.ts';
import { collectContent } from '../../../lib/concurrency/collectContent.ts';
import { concurrency as concurrencyMiddleware } from '../../../lib/concurrency/middleware.ts';
import { exchangeOf } from '../../../lib/exchange/exchange.ts';
import { compose } from '../../compose.ts';
import { MAX_COLLECTED_BYTES } from '../../wiring/limits.ts';
import { mayLeadTo } from '../mayLeadTo.ts';
import type { Stage, StageContext } from '../stage.ts';
import { limitOptions } from './limitOptions.ts';

/** Waits for the whole content of a login before the login takes a permit. */
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

/** Lets a logout that has revoked its token go on to the service, as far as there are permits for logouts. */
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
