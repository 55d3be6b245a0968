import { expect, it } from '@jest/globals';
import { type CacheOptions, cache } from '../../../lib/cache/middleware.ts';
import { PURGE_LOG_KEY, Purges } from '../../../lib/cache/stored/purge.ts';
import { asOrigin } from '../../support/asOrigin.ts';
import { call } from '../../support/clients/client.ts';
import { bareApp } from '../../support/gateway/bareApp.ts';
import { ManualClock } from '../../support/manualClock.ts';
import { memoryStore } from '../../support/stores/memoryStore.ts';

/** A cache whose every response is new, and the purges of its store. */
async function startWorld() {
  const clock = new ManualClock();
  const store = memoryStore(clock);
  let calls = 0;
  const origin: CacheOptions['origin'] = (_req, res) => {
    calls += 1;
    res.end(`call ${calls}`);
  };
  const app = await bareApp(
    cache({ store, origin: asOrigin(origin), defaultTtlMs: 3_600_000, maxBodyBytes: 1_000, clock }),
  );
  const purges = new Purges({ store, now: () => clock.now() });
  const get = async () => String((await call(new URL('/x', app.url))).body);
  return { clock, store, purges, get, [Symbol.asyncDispose]: () => app[Symbol.asyncDispose]() };
}

it('a purge counts after the log of purges was lost, for what was stored under a longer one', async () => {
  await using world = await startWorld();
  for (let n = 0; n < 3; n += 1) await world.purges.purge({ prefix: '/' });
  expect(await world.get()).toBe('call 1');
  await world.store.delete(PURGE_LOG_KEY);
  expect(await world.get()).toBe('call 1');
  world.clock.advance(1_000);
  await world.purges.purge({ prefix: '/' });
  expect(await world.get()).toBe('call 2');
});

it('a purge counts when the clock was set back since the one before it', async () => {
  await using world = await startWorld();
  await world.purges.purge({ prefix: '/' });
  expect(await world.get()).toBe('call 1');
  const slow = new Purges({ store: world.store, now: () => 1 });
  await slow.purge({ prefix: '/' });
  expect(await world.get()).toBe('call 2');
});
