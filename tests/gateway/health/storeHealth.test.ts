import { expect, test } from '@jest/globals';
import { StoreHealth } from '../../../gateway/health/storeHealth.ts';

const never = new Promise<never>(() => {});
const degraded = async () => undefined;

test('a glance at a store that hangs shows what it said last', async () => {
  let trouble: Promise<string | undefined> = never;
  const health = new StoreHealth({ stores: { trouble: () => trouble, degraded } });
  expect(await health.glance()).toEqual({});
  trouble = Promise.resolve('it is full');
  expect(await health.glance()).toEqual({ trouble: 'it is full' });
  trouble = never;
  expect(await health.glance()).toEqual({ trouble: 'it is full' });
});

test('what is wrong although the store can be relied on is told, too', async () => {
  const told: unknown[] = [];
  const stores = { trouble: async () => undefined, degraded: async () => 'one of three is away' };
  const health = new StoreHealth({ stores, onTrouble: (trouble) => told.push(trouble) });
  expect(await health.ask()).toEqual({ degraded: 'one of three is away' });
  expect(told).toEqual([undefined]);
});

test('a store has settled when the start has given it its time', async () => {
  const { promise: settled, resolve } = Promise.withResolvers<void>();
  const stores = { trouble: async () => undefined, degraded };
  const health = new StoreHealth({ stores, settled });
  expect([health.isSettled, new StoreHealth({ stores }).isSettled]).toEqual([false, true]);
  resolve();
  await settled;
  expect(health.isSettled).toBe(true);
});
