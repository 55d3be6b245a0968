import { PassThrough } from 'node:stream';
import { describe, expect, it } from '@jest/globals';
import { Revocations } from '../../../lib/auth/revocation/revocations.ts';
import { TokenRegistry } from '../../../lib/auth/revocation/tokenRegistry.ts';
import { TokensUnderWay } from '../../../lib/auth/revocation/tokensUnderWay.ts';
import type { VerifiedToken } from '../../../lib/auth/tokens/verifier.ts';
import { Exchange } from '../../../lib/exchange/exchange.ts';
import type { ResponseSink } from '../../../lib/response/sink.ts';
import { expectNoMoreTimers, ManualClock } from '../../support/manualClock.ts';
import { failingTokens, memoryTokens } from '../../support/stores/memoryStore.ts';

function setUp() {
  const clock = new ManualClock();
  const store = failingTokens(memoryTokens(clock));
  store.failing = false;
  const revocations = new Revocations({ store, clock });
  const registry = new TokenRegistry({ store, revocations, activeTtlMs: 60_000, clock });
  const token: VerifiedToken = {
    ...{
      token: 'a.b.c',
      digest: 'd',
      jti: undefined,
      names: ['ann'],
      subject: 'ann',
      key: 'ann',
      claims: '',
    },
    ...{
      issuedAtMs: clock.now(),
      expiresAtMs: clock.now() + 3_600_000,
      acceptedUntilMs: clock.now() + 3_600_000,
    },
  };
  return { clock, store, registry, token, underWay: new TokensUnderWay({ registry, clock }) };
}

/** The exchange of a request that was let in with this; nothing is written to its response. */
function exchangeOf(identity: Exchange['identity']): Exchange {
  const exchange = new Exchange({} as ResponseSink);
  exchange.identity = identity;
  return exchange;
}

const turn = () => new Promise(setImmediate);

describe('what is open with a token', () => {
  it('stays while the store cannot say, and is cut when it can', async () => {
    const { clock, store, registry, token, underWay } = setUp();
    const connection = new PassThrough();
    const exchange = exchangeOf(token);
    underWay.addUpgraded(connection, token);
    underWay.addStream(exchange);
    await registry.revoke(token);
    store.failing = true;
    clock.advance(5_000);
    await turn();
    expect([connection.destroyed, exchange.abortReason]).toEqual([false, undefined]);
    store.failing = false;
    clock.advance(500);
    await turn();
    expect(connection.destroyed).toBe(true);
    expect(exchange.abortReason).toMatchObject({ code: 'token_revoked' });
  });

  it('is forgotten once it is over, and then nothing looks any more', async () => {
    const { clock, token, underWay } = setUp();
    const connection = new PassThrough();
    const exchange = exchangeOf(token);
    underWay.addUpgraded(connection, token);
    underWay.addStream(exchange);
    expect(underWay.size).toBe(2);
    connection.destroy();
    exchange.closed();
    await turn();
    clock.advance(500);
    expect(underWay.size).toBe(0);
    expectNoMoreTimers(clock);
  });

  it('is nothing for a stream without a token, nor for that of the logout itself', () => {
    const { token, underWay } = setUp();
    const logout = exchangeOf(token);
    logout.revokes = true;
    const key = { ...{ subject: 'apikey:1', key: 'apikey 1', claims: '' }, apiKey: { id: '1', owner: 'o' } };
    for (const exchange of [exchangeOf(undefined), exchangeOf(key), logout]) underWay.addStream(exchange);
    expect(underWay.size).toBe(0);
  });
});
