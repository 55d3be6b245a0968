import { describe, expect, it } from '@jest/globals';
import { attempt, externalChain, internalChain } from '../gateway/apps.ts';

describe('the order of the chains', () => {
  it('is, on the external port, deadline, limits, identity, cache, then the replicas', () => {
    expect(externalChain.map((stage) => stage.name)).toEqual([
      'deadline',
      'admit',
      'authenticate',
      'cache',
      'failover',
    ]);
  });

  it('is, on the internal port, the same without limits, identity and cache', () => {
    expect(internalChain.map((stage) => stage.name)).toEqual(['deadline', 'failover']);
  });

  it('is, for each try at a replica, balance, breaker, forward', () => {
    expect(attempt.map((stage) => stage.name)).toEqual(['balance', 'breaker', 'forward']);
  });
});
