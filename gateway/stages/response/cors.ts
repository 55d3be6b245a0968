import type { RequestHandler } from 'express';
import type { PolicySettings } from '../../../config/policies/policies.ts';
import { cors as corsMiddleware } from '../../../lib/cors/middleware.ts';
import { exchangeOf } from '../../../lib/exchange/exchange.ts';
import { askedHostFor } from '../../../lib/proxy/request/forwarded.ts';
import type { Parts } from '../../wiring/parts.ts';
import type { Stage } from '../stage.ts';

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

/** Tells browsers which pages may read the responses, and responds to preflights. */
export const cors: Stage = ({ parts, service }) => corsHandler(parts, service.settings);

/** The same handler for a response that no service is asked for; undefined where no `cors` is set. */
export function corsHandler(
  { settings, sticky, trustsPeer }: Parts,
  { cors: rules }: PolicySettings,
): RequestHandler | undefined {
  if (rules === undefined) return undefined;
  const exposed = [...EXPOSED, ...(settings.serverTiming ? ['Server-Timing'] : []), ...rules.exposeHeaders];
  return corsMiddleware({
    ...rules,
    exposeHeaders: distinct(exposed),
    hostOf: askedHostFor(trustsPeer),
    // On a route that is split they are there still: only the side that is chosen knows which is its own.
    harmlessCookies: sticky?.cookies.map(({ name }) => name) ?? [],
    isForPreflight: (_req, res) => exchangeOf(res).preflight,
  });
}

function distinct(names: readonly string[]): string[] {
  const lower = names.map((name) => name.toLowerCase());
  return names.filter((_, index) => lower.indexOf(lower[index] as string) === index);
}
