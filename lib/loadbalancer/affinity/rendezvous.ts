import type { Request, Response } from 'express';
import { fnv1a, spread } from '../../util/hash.ts';
import { type Accepts, acceptsAll } from '../choice/candidates.ts';
import type { ReplicaPool } from '../pool.ts';
import type { Replica } from '../replica.ts';
import type { Affinity } from './affinity.ts';

const HASHES = 2 ** 32;

/** Each key has a replica of its own: see `replicaFor`. Where `keyOf` gives none, any replica does. */
export function hashed(
  pool: ReplicaPool,
  keyOf: (req: Request, res: Response) => string | undefined,
): Affinity {
  return (req, res, accepts) => {
    const key = keyOf(req, res);
    return key === undefined ? undefined : replicaFor(key, pool.replicas, accepts);
  };
}

/**
 * The available replica that is always chosen for a key (rendezvous hashing). It changes only while that replica is away, or
 * when one joins that has a higher score for this key: of `n` replicas that is for one key in `n`. All gateways choose the
 * same without remembering it. A replica has as many keys as its weight says, and one with the weight 0 has none while
 * another is there. How busy it is does not count: whoever must meet its session there cannot go elsewhere.
 */
export function replicaFor(
  key: string,
  replicas: readonly Replica[],
  accepts: Accepts = acceptsAll,
): Replica | undefined {
  let chosen: Replica | undefined;
  let highest = Number.NEGATIVE_INFINITY;
  for (const replica of replicas) {
    if (!replica.available || !accepts(replica)) continue;
    const score = scoreOf(key, replica);
    if (score <= highest) continue;
    highest = score;
    chosen = replica;
  }
  return chosen;
}

/** With weights as in "Weighted Distributed Hash Tables" (Schindelhauer and Schomaker, 2005): the order is the same where they are. */
function scoreOf(key: string, { key: replica, interval }: Replica): number {
  const hash = spread(fnv1a(replica, fnv1a('\n', fnv1a(key))));
  if (interval === 0) return hash;
  if (interval === Number.POSITIVE_INFINITY) return hash - HASHES;
  return -1 / (interval * Math.log((hash + 0.5) / HASHES));
}
