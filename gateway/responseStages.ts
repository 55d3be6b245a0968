import type { RequestHandler } from 'express';
import type { Settings } from '../config/config.ts';
import type { PolicySettings } from '../config/policies/policies.ts';
import { cors as corsMiddleware } from '../lib/cors/middleware.ts';
import { exchangeOf } from '../lib/exchange/exchange.ts';
import type { Stage } from './stages.ts';

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
];

/** What changes responses, from where they come; for refusals where no service is found as well. */
export function responseHandlers(settings: Settings, policies: PolicySettings): RequestHandler[] {
  return [corsHandler(settings, policies)].filter((handler) => handler !== undefined);
}

export const cors: Stage = ({ parts, service }) => corsHandler(parts.settings, service.settings);

function corsHandler(
  { serverTiming }: Settings,
  { cors: rules }: PolicySettings,
): RequestHandler | undefined {
  if (rules === undefined) return undefined;
  const exposed = [...EXPOSED, ...(serverTiming ? ['Server-Timing'] : []), ...rules.exposeHeaders];
  return corsMiddleware({
    ...rules,
    exposeHeaders: distinct(exposed),
    isForPreflight: (_req, res) => exchangeOf(res).preflight,
  });
}

function distinct(names: readonly string[]): string[] {
  const lower = names.map((name) => name.toLowerCase());
  return names.filter((_, index) => lower.indexOf(lower[index] as string) === index);
}
