import { describe, expect, it } from '@jest/globals';
import { externalChain, internalChain } from '../../gateway/apps.ts';

describe('the order of the chains', () => {
  it('is, on the external port, fields of responses, sticky cookies, compression, CORS, addresses, tokens in query and cookies, API keys, timeout, limits, identity, cache, then the replicas', () => {
    expect(externalChain.map((stage) => stage.name)).toEqual([
      'headers',
      'stickyCookie',
      'compression',
      'cors',
      'addresses',
      'queryToken',
      'cookieToken',
      'apiKey',
      'loginContent',
      'timeout',
      'addressRateLimit',
      'concurrency',
      'auth',
      'identityConcurrency',
      'logoutConcurrency',
      'rateLimit',
      'cache',
      'mirror',
      'failover',
      'loadBalancer',
      'circuitBreaker',
      'proxy',
    ]);
  });

  it('is, on the internal port, the same without limits, identity and cache', () => {
    expect(internalChain.map((stage) => stage.name)).toEqual([
      'timeout',
      'failover',
      'loadBalancer',
      'circuitBreaker',
      'proxy',
    ]);
  });
});
