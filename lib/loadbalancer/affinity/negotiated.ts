import type { IncomingMessage } from 'node:http';
import type { Request, Response } from 'express';
import { exchangeOf } from '../../exchange/exchange.ts';
import type { ReplicaPool } from '../pool.ts';
import type { Affinity } from './affinity.ts';
import { hashed } from './rendezvous.ts';

const NEGOTIATE = '/negotiate';

/** All requests of one caller that negotiate go to the same replica. */
export function negotiated(
  pool: ReplicaPool,
  callerOf: (req: Request, res: Response) => string | undefined,
): Affinity {
  return hashed(pool, (req, res) =>
    isNegotiated(req, exchangeOf(res).upgradeHead !== undefined) ? callerOf(req, res) : undefined,
  );
}

/**
 * Whether the request is one of a pair that must reach the same replica, as SignalR sends them: it negotiates by a POST
 * to `<hub>/negotiate`, and opens its WebSocket by `<hub>?id=<the id it was given>`, which no other replica knows.
 */
export function isNegotiated({ method, url = '' }: IncomingMessage, isUpgrade: boolean): boolean {
  if (!isUpgrade && method !== 'POST') return false;
  const queryAt = url.indexOf('?');
  if (isUpgrade) return queryAt !== -1 && hasId(url, queryAt);
  return url.endsWith(NEGOTIATE, queryAt === -1 ? url.length : queryAt);
}

function hasId(url: string, queryAt: number): boolean {
  return url.startsWith('id=', queryAt + 1) || url.includes('&id=', queryAt);
}
