import type { Request } from 'express';
import type { Exchange } from '../exchange/exchange.ts';

/**
 * Path and query as the service gets them, behind `prefix`, the part of clients' paths that it does not get. That is the target
 * of the client, unless its route has rewritten it: so whichever routes lead to one resource of a service, it goes by one name,
 * and by the one that the service's own path gives it.
 */
export function serviceTarget(req: Request, { route, upstreamTarget }: Exchange, prefix: string): string {
  return route === '' || upstreamTarget === '' ? req.originalUrl : prefix + upstreamTarget;
}
