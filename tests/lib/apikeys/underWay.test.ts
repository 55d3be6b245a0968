import { describe, expect, it } from '@jest/globals';
import type { RequestHandler } from 'express';
import { ApiKeys } from '../../../lib/apikeys/apiKeys.ts';
import { KeyRing } from '../../../lib/apikeys/keyRing.ts';
import { KeysUnderWay } from '../../../lib/apikeys/underWay.ts';
import { eventually } from '../../support/eventually.ts';
import { bareApp } from '../../support/gateway/bareApp.ts';
import { expectNoMoreTimers, ManualClock } from '../../support/manualClock.ts';
import { failingTokens, memoryTokens } from '../../support/stores/memoryStore.ts';

const GRANTS = { name: 'n', owner: 'o', scopes: [], claims: {}, expiresAtMs: null };

async function setUp() {
  const clock = new ManualClock();
  const store = failingTokens(memoryTokens(clock));
  store.failing = false;
  const keys = new ApiKeys({ store, clock });
  const ring = new KeyRing({ keys, store, clock });
  const underWay = new KeysUnderWay({ keys, clock });
  const { text, state } = await ring.create(GRANTS);
  const { digest } = await keys.authenticate(text);
  const responses: Parameters<RequestHandler>[1][] = [];
  const handler: RequestHandler = (_req, res) => {
    underWay.add(res, digest);
    responses.push(res);
  };
  return { clock, store, ring, underWay, id: state.id, handler, responses };
}

describe('a request under way with a key that is revoked', () => {
  it('goes on while it has no response, and ends by itself', async () => {
    const { clock, ring, underWay, id, handler, responses } = await setUp();
    await using app = await bareApp(handler);
    const response = fetch(app.url);
    await eventually('it is there', () => underWay.size === 1);
    await ring.revoke(id);
    clock.advance(5_000);
    responses[0]?.end('done');
    expect(await (await response).text()).toBe('done');
    await eventually('it is forgotten', () => underWay.size === 0);
    expectNoMoreTimers(clock);
  });

  it('is cut once its response has begun', async () => {
    const { clock, ring, id, handler, responses } = await setUp();
    await using app = await bareApp(handler);
    const response = fetch(app.url);
    await eventually('it is there', () => responses.length === 1);
    await ring.revoke(id);
    responses[0]?.write('begun');
    const text = (await response).text();
    clock.advance(500);
    await expect(text).rejects.toThrow();
    expect(app.exchanges[0]?.errorCode).toBe('api_key_revoked');
  });

  it('stays while the store cannot say, and is cut when it can', async () => {
    const { clock, store, ring, id, handler, responses, underWay } = await setUp();
    await using app = await bareApp(handler);
    const response = fetch(app.url);
    await eventually('it is there', () => responses.length === 1);
    responses[0]?.write('begun');
    const text = (await response).text();
    text.catch(() => {});
    await ring.revoke(id);
    store.failing = true;
    clock.advance(5_000);
    await new Promise(setImmediate);
    expect([responses[0]?.destroyed, underWay.size]).toEqual([false, 1]);
    store.failing = false;
    clock.advance(500);
    await expect(text).rejects.toThrow();
  });
});
