import type { IncomingMessage } from 'node:http';
import { fnv1a, spread } from '../../util/hash.ts';
import type { Replica } from '../replica.ts';

const NEGOTIATE = '/negotiate';

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

/**
 * The available replica that is always chosen for a caller (rendezvous hashing). It changes only while that replica is
 * away, or when one joins that has a higher score for this caller. All gateways choose the same without remembering it.
 */
export function replicaFor(caller: string, replicas: readonly Replica[]): Replica | undefined {
  let chosen: Replica | undefined;
  let highest = -1;
  for (const replica of replicas) {
    if (!replica.available) continue;
    const score = scoreOf(caller, replica.key);
    if (score <= highest) continue;
    highest = score;
    chosen = replica;
  }
  return chosen;
}

function hasId(url: string, queryAt: number): boolean {
  return url.startsWith('id=', queryAt + 1) || url.includes('&id=', queryAt);
}

/** A number from 0 to 2^32 - 1. */
function scoreOf(caller: string, key: string): number {
  return spread(fnv1a(key, fnv1a('\n', fnv1a(caller))));
}
