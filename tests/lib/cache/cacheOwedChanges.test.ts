import { expect, it } from '@jest/globals';
import type { RequestHandler } from 'express';
import { cache } from '../../../lib/cache/middleware.ts';
import { ServiceCache } from '../../../lib/cache/serviceCache.ts';
import { exchangeOf } from '../../../lib/exchange/exchange.ts';
import { type ResponseStore, StoreUnavailableError } from '../../../lib/store/store.ts';
import { asOrigin } from '../../support/asOrigin.ts';
import { call } from '../../support/clients/client.ts';
import { eventually } from '../../support/eventually.ts';
import { bareApp } from '../../support/gateway/bareApp.ts';
import { ManualClock } from '../../support/manualClock.ts';
import { memoryStore } from '../../support/stores/memoryStore.ts';

/**
 * The caches of two routes of a service, one of which keeps nothing, before a store of which the part that has the path `/lost`
 * may be away: it takes no word of a change then.
 */
async function startWorld() {
  const clock = new ManualClock();
  const memory = memoryStore(clock);
  const part = { isAway: false };
  const store = Object.create(memory, {
    isShared: { value: true },
    ...Object.fromEntries(
      (
        ['peek', 'get', 'getAll', 'set', 'delete', 'swap', 'claim', 'publish', 'subscribe', 'usage'] as const
      ).map((name) => [name, { value: (memory[name] as (...args: unknown[]) => unknown).bind(memory) }]),
    ),
    admits: { value: () => true },
    renew: {
      value: async (key: string, word: string, ttlMs: number) => {
        if (part.isAway && key.includes('"/lost"')) throw new StoreUnavailableError('away');
        return memory.renew(key, word, ttlMs);
      },
    },
  }) as ResponseStore;
  let calls = 0;
  const service = new ServiceCache({ store, clock });
  const byRoute = (name: string, defaultTtlMs: number | 'off'): RequestHandler => {
    const handler = cache({
      service,
      origin: asOrigin((_req, res) => {
        calls += 1;
        res.end(`call ${calls}`);
      }),
      defaultTtlMs,
      maxBodyBytes: 1_000,
    });
    return (req, res, next) => {
      exchangeOf(res).route = name;
      handler(req, res, next);
    };
  };
  const routes: Record<string, RequestHandler> = {
    GET: byRoute('reads', 3_600_000),
    POST: byRoute('writes', 'off'),
  };
  const app = await bareApp((req, res, next) => routes[req.method]?.(req, res, next));
  const send = async (path: string, method = 'GET') =>
    String((await call(new URL(path, app.url), { method })).body);
  return { clock, part, send, [Symbol.asyncDispose]: () => app[Symbol.asyncDispose]() };
}

it('a change by one route that a part of the store could not be told of holds for others, and keeps nothing else from being found', async () => {
  await using world = await startWorld();
  const { part, send, clock } = world;
  const kept = await send('/kept');
  const lost = await send('/lost');
  expect([await send('/kept'), await send('/lost')]).toEqual([kept, lost]);
  part.isAway = true;
  await send('/lost', 'POST');
  expect(await send('/kept')).toBe(kept);
  // What was changed is not given to anybody from before.
  expect(await send('/lost')).not.toBe(lost);

  part.isAway = false;
  clock.advance(1_000);
  // Whoever asks for anything makes it good, for all gateways.
  expect(await send('/kept')).toBe(kept);
  const renewed = await send('/lost');
  let latest = renewed;
  await eventually('it is stored anew', async () => {
    const before = latest;
    latest = await send('/lost');
    return latest === before;
  });
  expect(renewed).not.toBe(lost);
});
