import { proxy as proxyMiddleware } from '../../../lib/proxy/middleware.ts';
import type { RequestFieldsOptions } from '../../../lib/proxy/request/requestFields.ts';
import type { Stage, StageContext } from '../stage.ts';
import { requestEditOf } from './requestEdit.ts';

/** Sends the request to the replica, and passes its response on. */
export const proxy: Stage = (context) => {
  const { parts, service } = context;
  const { settings, limits, metrics, tokensUnderWay, onContent, onExhausted, clock } = parts;
  const { edit: requestEdit, ...fields } = requestFieldTerms(context);
  return proxyMiddleware({
    transport: service.transport,
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
    onStream: (exchange) => tokensUnderWay.addStream(exchange),
    onExhausted: (error) => {
      metrics.exhausted.count();
      onExhausted(error);
    },
    clock,
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
