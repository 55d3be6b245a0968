import type { RequestHandler } from 'express';
import type { PolicySettings } from '../config/policies/policies.ts';
import { cors as corsMiddleware } from '../lib/cors/middleware.ts';
import { exchangeOf } from '../lib/exchange/exchange.ts';
import { responseHeaders } from '../lib/headers/middleware.ts';
import { askedHostFor, isSecureFor } from '../lib/proxy/request/forwarded.ts';
import type { Stage } from './stages.ts';
import type { Parts } from './wiring/parts.ts';

/** Fields of the gateway's that pages need to make sense of a response, a refusal above all. */
const EXPOSED: readonly string[] = [
  'X-Request-Id',
  'Retry-After',
  'WWW-Authenticate',
  'RateLimit',
  'RateLimit-Policy',
  'X-Cache',
  'Cache-Status',
  'Proxy-Status',
  'Allow',
];

/** What sees to the fields of responses, in this order: for those that no service is asked for. */
export function responseHandlers(parts: Parts, policies: PolicySettings): RequestHandler[] {
  return [headersHandler(parts, policies), corsHandler(parts, policies)].filter(
    (handler) => handler !== undefined,
  );
}

export const headers: Stage = ({ parts, service }) => headersHandler(parts, service.settings);

function headersHandler({ trustsPeer }: Parts, policies: PolicySettings): RequestHandler | undefined {
  const { responseRules: rules, security } = policies;
  if (rules === undefined && security === undefined) return undefined;
  return responseHeaders({ rules, security, isSecure: isSecureFor(trustsPeer) });
}

export const cors: Stage = ({ parts, service }) => corsHandler(parts, service.settings);

function corsHandler(
  { settings, trustsPeer }: Parts,
  { cors: rules }: PolicySettings,
): RequestHandler | undefined {
  if (rules === undefined) return undefined;
  const exposed = [...EXPOSED, ...(settings.serverTiming ? ['Server-Timing'] : []), ...rules.exposeHeaders];
  return corsMiddleware({
    ...rules,
    exposeHeaders: distinct(exposed),
    hostOf: askedHostFor(trustsPeer),
    isForPreflight: (_req, res) => exchangeOf(res).preflight,
  });
}

function distinct(names: readonly string[]): string[] {
  const lower = names.map((name) => name.toLowerCase());
  return names.filter((_, index) => lower.indexOf(lower[index] as string) === index);
}
