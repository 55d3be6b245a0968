import { describe, expect, it } from '@jest/globals';
import { StickyReplicas, stickyKey } from '../../../../lib/loadbalancer/affinity/stickyReplicas.ts';
import { ReplicaPool } from '../../../../lib/loadbalancer/pool.ts';
import { Replica } from '../../../../lib/loadbalancer/replica.ts';
import { registered } from '../../../support/upstreams/registered.ts';

function poolOf(hosts: readonly string[], service = '/shop'): ReplicaPool {
  return new ReplicaPool({ service, replicas: hosts.map((host) => Replica.at(`http://${host}:80`)) });
}

function sticky(hosts: readonly string[], { service = '/shop', secret = 'a secret' } = {}): StickyReplicas {
  return new StickyReplicas(poolOf(hosts, service), stickyKey(secret));
}

describe('marks of replicas', () => {
  it('are found by everybody with the same secret, also those that he has not made himself', () => {
    const mark = sticky(['a', 'b']).markOf('b');
    expect(mark).toMatch(/^[\w-]{22}$/);
    expect(sticky(['c', 'b']).replicaWith(mark)?.key).toBe('b');
  });

  it.each([
    ['of another secret', { secret: 'another' }],
    ['of another service', { service: '/other' }],
  ])('%s are none', (_, other) => {
    expect(sticky(['a', 'b'], other).replicaWith(sticky(['a', 'b']).markOf('b'))).toBe(undefined);
  });

  it.each(['', 'b', 'A'.repeat(22), 'A'.repeat(23), '__proto__'])('are not %p', (mark) => {
    expect(sticky(['a', 'b']).replicaWith(mark)).toBe(undefined);
  });

  it('go with their replica, and come back with it', () => {
    const pool = poolOf(['a']);
    const marks = new StickyReplicas(pool, stickyKey('a secret'));
    const listing = (host: string) => {
      const url = new URL(`http://${host}:80`);
      return { key: url.host, url, registered: registered(host, 80), healthy: true, requestCount: 0 };
    };
    const mark = marks.markOf('a');
    // For longer than it remembers any.
    for (let n = 0; n < 20; n += 1) {
      pool.update([listing(`b${n}`)]);
      marks.markOf(`b${n}`);
      expect(marks.replicaWith(mark)).toBe(undefined);
    }
    pool.update([listing('a')]);
    expect(marks.replicaWith(mark)?.key).toBe('a');
  });
});
