import type { IncomingMessage } from 'node:http';
import { describe, expect, it } from '@jest/globals';
import { isNegotiated } from '../../../../lib/loadbalancer/affinity/negotiated.ts';
import { replicaFor } from '../../../../lib/loadbalancer/affinity/rendezvous.ts';
import { Replica } from '../../../../lib/loadbalancer/replica.ts';

const CALLERS = Array.from({ length: 3000 }, (_, n) => `user-${n}`);

function replicas(count: number): Replica[] {
  return Array.from({ length: count }, (_, n) => Replica.at(`http://10.0.0.${n + 1}:8083`));
}

describe('a request that belongs to a negotiation', () => {
  it.each([
    ['POST', '/chatHub/negotiate', false, true],
    ['POST', '/chatHub/negotiate?negotiateVersion=1', false, true],
    ['POST', '/negotiate?next=/x', false, true],
    ['POST', '/chatHub/negotiated', false, false],
    ['POST', '/chatHub?x=/negotiate', false, false],
    ['GET', '/chatHub/negotiate', false, false],
    ['GET', '/chatHub?id=abc', true, true],
    ['GET', '/chatHub?tenant=1&id=abc', true, true],
    ['GET', '/chatHub?id=abc', false, false],
    ['GET', '/chatHub?uid=abc', true, false],
    ['GET', '/chatHub/id=abc', true, false],
    ['GET', '/ws', true, false],
  ])('%s %s (upgrade: %s): %s', (method, url, isUpgrade, expected) => {
    expect(isNegotiated({ method, url } as IncomingMessage, isUpgrade)).toBe(expected);
  });
});

describe('the replica of a caller', () => {
  it('is always the same, and each has its part of the callers', () => {
    const all = replicas(3);
    const counts = new Map<Replica | undefined, number>();
    for (const caller of CALLERS) {
      const chosen = replicaFor(caller, all);
      expect(replicaFor(caller, all.toReversed())).toBe(chosen);
      counts.set(chosen, (counts.get(chosen) ?? 0) + 1);
    }
    for (const replica of all) expect(counts.get(replica)).toBeGreaterThan(CALLERS.length * 0.3);
  });

  it('changes only for those who go to a newcomer, or whose own is away', () => {
    const [first, second, third] = replicas(3) as [Replica, Replica, Replica];
    const before = CALLERS.map((caller) => replicaFor(caller, [first, second]));
    const after = CALLERS.map((caller) => replicaFor(caller, [first, second, third]));
    for (const [n, replica] of after.entries()) if (replica !== third) expect(replica).toBe(before[n]);
    third.listedHealthy = false;
    expect(CALLERS.map((caller) => replicaFor(caller, [first, second, third]))).toEqual(before);
  });

  it('is nobody where nobody is available', () => {
    const [only] = replicas(1) as [Replica];
    only.admission = 'none';
    expect([replicaFor('ann', [only]), replicaFor('ann', [])]).toEqual([undefined, undefined]);
  });
});
