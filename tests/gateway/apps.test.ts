import { describe, expect, it } from '@jest/globals';
import { externalChain, internalChain } from '../../gateway/apps.ts';

describe('the order of the chains', () => {
  it('is, on the external port, the token in the query, deadline, limits, identity, cache, then the replicas', () => {
    expect(externalChain.map((stage) => stage.name)).toEqual([
      'takeQueryToken',
      'collectLogin',
      'deadline',
      'limitAddress',
      'admit',
      'authenticate',
      'countIdentity',
      'admitLogout',
      'limitIdentity',
      'cache',
      'failover',
      'balance',
      'breaker',
      'forward',
    ]);
  });

  it('is, on the internal port, the same without limits, identity and cache', () => {
    expect(internalChain.map((stage) => stage.name)).toEqual([
      'deadline',
      'failover',
      'balance',
      'breaker',
      'forward',
    ]);
  });
});
