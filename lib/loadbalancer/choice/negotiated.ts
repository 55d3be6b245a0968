import type { IncomingMessage } from 'node:http';
import type { Replica } from '../replica.ts';

const NEGOTIATE = '/negotiate';
const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

/**
 * Whether the request is one of a pair that must reach the same replica, as SignalR makes them: it negotiates by a POST
 * to `<hub>/negotiate`, and opens its WebSocket by `<hub>?id=<what came of it>`, which no other replica knows.
 */
export function isNegotiated({ method, url = '' }: IncomingMessage, isUpgrade: boolean): boolean {
  if (!isUpgrade && method !== 'POST') return false;
  const queryAt = url.indexOf('?');
  if (isUpgrade) return queryAt !== -1 && hasId(url, queryAt);
  return url.endsWith(NEGOTIATE, queryAt === -1 ? url.length : queryAt);
}

/**
 * The available replica that a caller is always given: another one only while that is away, or when one joins that comes
 * before it for this caller (rendezvous hashing). All gateways and threads choose the same, and nothing is remembered.
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

/** A number from 0 to 2^32 - 1: FNV-1a, and what it takes for similar texts to differ in all bits. */
function scoreOf(caller: string, key: string): number {
  let hash = FNV_OFFSET;
  for (const text of [caller, '\n', key]) {
    for (let at = 0; at < text.length; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), FNV_PRIME);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
