import { describe, expect, it } from '@jest/globals';
import { replicaFor } from '../../../../lib/loadbalancer/affinity/rendezvous.ts';
import { ReplicaPool } from '../../../../lib/loadbalancer/pool.ts';
import { Replica } from '../../../../lib/loadbalancer/replica.ts';

const KEYS = Array.from({ length: 6000 }, (_, n) => `user-${n}`);

function poolOf(weights: readonly number[]): ReplicaPool {
  const origins = weights.map((_, n) => `http://10.0.0.${n + 1}`);
  return new ReplicaPool({
    service: '/a',
    replicas: origins.map((origin) => Replica.at(origin)),
    weights: Object.fromEntries(origins.map((origin, n) => [origin, weights[n] ?? 1])),
  });
}

/** How many keys each replica has, and whose each is. */
function dealt(pool: ReplicaPool) {
  const owners = KEYS.map((key) => pool.replicas.indexOf(replicaFor(key, pool.replicas) as Replica));
  return { owners, counts: pool.replicas.map((_, n) => owners.filter((owner) => owner === n).length) };
}

describe('rendezvous hashing', () => {
  it.each([
    { weights: [1, 1, 1], parts: [1 / 3, 1 / 3, 1 / 3] },
    { weights: [3, 1, 2], parts: [3 / 6, 1 / 6, 2 / 6] },
    { weights: [1, 0, 1], parts: [1 / 2, 0, 1 / 2] },
    { weights: [0, 0], parts: [1 / 2, 1 / 2] },
  ])('gives replicas of the weights $weights their parts of the keys', ({ weights, parts }) => {
    for (const [n, count] of dealt(poolOf(weights)).counts.entries()) {
      expect(Math.abs(count / KEYS.length - (parts[n] ?? 0))).toBeLessThan(0.02);
    }
  });

  it.each([
    { before: [1, 1, 1, 1], after: [1, 1, 1], gone: 3 },
    { before: [3, 1, 2, 2], after: [3, 1, 2], gone: 3 },
  ])('moves only the keys of the one that goes: $before to $after', ({ before, after, gone }) => {
    const [old, now] = [dealt(poolOf(before)).owners, dealt(poolOf(after)).owners];
    for (const [i, owner] of old.entries()) if (owner !== gone) expect(now[i]).toBe(owner);
  });

  it('moves keys only to the one whose weight is raised', () => {
    const [old, now] = [dealt(poolOf([2, 1, 1])).owners, dealt(poolOf([2, 1, 3])).owners];
    for (const [i, owner] of now.entries()) if (owner !== 2) expect(owner).toBe(old[i]);
  });

  it('asks one with the weight 0 where no other accepts', () => {
    const pool = poolOf([1, 0]);
    const [, spare] = pool.replicas;
    expect(replicaFor('ann', pool.replicas, (replica) => replica === spare)).toBe(spare);
  });
});
