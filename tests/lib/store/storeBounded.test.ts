import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { createClient } from 'redis';
import { systemClock } from '../../../lib/clock/clock.ts';
import { Channels } from '../../../lib/store/channels.ts';
import { MemoryStore } from '../../../lib/store/memory/memory.ts';
import {
  type ResponseChange,
  SwapPlace,
  ThreadsMemoryStore,
} from '../../../lib/store/memory/threadsMemory.ts';
import { openRedisStore } from '../../../lib/store/redis/redis.ts';
import type { ResponseStore } from '../../../lib/store/store.ts';
import { eventually } from '../../support/eventually.ts';
import { type RedisServer, startRedis } from '../../support/stores/redis.ts';

const MAX_BYTES = 1_000_000;
const MINUTE_MS = 60_000;
const VALUE = Buffer.alloc(500, 'v');

// A real process on a machine that may be busy.
jest.setTimeout(30_000);

let redis: RedisServer;

beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.stop());

/** A bounded store that nobody else uses. */
const STORES = {
  memory: async () => ({
    store: new MemoryStore({ maxBytes: MAX_BYTES, channels: new Channels(() => {}), clock: systemClock }),
    async [Symbol.asyncDispose]() {},
  }),
  // What one of several threads sees, in the order in which the main thread is told.
  'memory of several threads': async () => {
    const memory = () =>
      new MemoryStore({ maxBytes: MAX_BYTES, channels: new Channels(() => {}), clock: systemClock });
    const place = new SwapPlace(memory());
    let hear: (change: ResponseChange) => void = () => {};
    const store = new ThreadsMemoryStore(memory(), {
      tell: (change) => {
        if (change.kind === 'delete') void place.delete(change.key);
      },
      swap: async (swap) => {
        const swapped = await place.swap(swap);
        hear({ kind: 'set', key: swap.key, ...swapped });
        return swapped;
      },
      listen: (listener) => {
        hear = listener;
      },
    });
    return { store, async [Symbol.asyncDispose]() {} };
  },
  redis: async () => {
    const client = await createClient({ url: redis.url }).connect();
    await client.flushAll();
    await client.close();
    const stores = await openRedisStore({ url: redis.url, timeoutMs: 2_000, maxResponseBytes: MAX_BYTES });
    return { store: stores.responses, [Symbol.asyncDispose]: () => stores.close() };
  },
};

async function connected() {
  const client = await createClient({ url: redis.url }).connect();
  return Object.assign(client, { [Symbol.asyncDispose]: () => client.close() });
}

async function inOneGo(count: number, work: (n: number) => Promise<void>): Promise<void> {
  await Promise.all(Array.from({ length: count }, (_, n) => work(n)));
}

async function heldBytes(store: ResponseStore): Promise<number> {
  const [held] = await store.usage();
  return held?.bytes ?? Number.NaN;
}

describe.each(Object.entries(STORES))('the bounded store in %s', (_name, open) => {
  it('never holds more than it may, however many keys there are', async () => {
    await using world = await open();
    let most = 0;
    for (let n = 0; n < 5_000; n += 50) {
      await inOneGo(50, (i) => world.store.set(`key ${n + i}`, VALUE, MINUTE_MS));
      most = Math.max(most, await heldBytes(world.store));
    }
    expect(most).toBeLessThanOrEqual(MAX_BYTES);
    expect(most).toBeGreaterThan(MAX_BYTES / 2);
    expect((await world.store.get('key 4999'))?.equals(VALUE)).toBe(true);
    expect(await world.store.get('key 0')).toBeUndefined();
  });

  it('keeps nothing of a key whose new value is larger than all it may hold', async () => {
    await using world = await open();
    await world.store.set('other', VALUE, MINUTE_MS);
    const without = await heldBytes(world.store);
    await world.store.set('key', VALUE, MINUTE_MS);
    await world.store.set('key', Buffer.alloc(2 * MAX_BYTES), MINUTE_MS);
    expect(await world.store.get('key')).toBeUndefined();
    expect(await heldBytes(world.store)).toBe(without);
  });

  it('counts a key that is written again once', async () => {
    await using world = await open();
    await world.store.set('key', VALUE, MINUTE_MS);
    const once = await heldBytes(world.store);
    for (let n = 0; n < 10; n += 1) await world.store.set('key', VALUE, MINUTE_MS);
    expect(await heldBytes(world.store)).toBe(once);
  });

  it('does not keep what is larger than all it may hold', async () => {
    await using world = await open();
    await world.store.set('small', VALUE, MINUTE_MS);
    await world.store.set('large', Buffer.alloc(2 * MAX_BYTES), MINUTE_MS);
    expect(await world.store.get('large')).toBeUndefined();
    expect((await world.store.get('small'))?.equals(VALUE)).toBe(true);
    expect(await heldBytes(world.store)).toBeLessThanOrEqual(MAX_BYTES);
  });

  it('swaps a value for the one that was expected, and says which is in force', async () => {
    await using world = await open();
    const { store } = world;
    expect(String(await store.swap('key', undefined, 'a', MINUTE_MS))).toBe('a');
    expect(String(await store.swap('key', undefined, 'b', MINUTE_MS))).toBe('a');
    expect(String(await store.swap('key', Buffer.from('b'), 'c', MINUTE_MS))).toBe('a');
    expect(String(await store.swap('key', Buffer.from('a'), 'd', MINUTE_MS))).toBe('d');
    expect(String(await store.get('key'))).toBe('d');
    await expect(store.swap('key', undefined, 'e', 0)).rejects.toThrow(RangeError);
  });
});

describe.each(Object.entries(STORES))('the bounded store in %s, kept by several owners', (_name, open) => {
  const word = (of: string, n: number) => ({
    under: { key: `word of ${of} ${n}`, value: 'w', ttlMs: MINUTE_MS, mayBegin: true },
    owner: of,
  });
  const countOf = async (store: ResponseStore, count: number, key: (n: number) => string) => {
    const found = await Promise.all(Array.from({ length: count }, (_, n) => store.get(key(n))));
    return found.filter(Boolean).length;
  };

  it('takes nothing from one for another who holds more', async () => {
    await using world = await open();
    const { store } = world;
    await inOneGo(40, (n) => store.set(`of ann ${n}`, VALUE, 1_000 + MINUTE_MS / 2, word('ann', n)));
    for (let n = 0; n < 3_000; n += 50) {
      await inOneGo(50, (i) => store.set(`of mallory ${n + i}`, VALUE, MINUTE_MS, word('mallory', n + i)));
    }
    expect(await heldBytes(store)).toBeGreaterThan(MAX_BYTES / 2);
    expect(await countOf(store, 40, (n) => `of ann ${n}`)).toBe(40);
    expect(await countOf(store, 40, (n) => `word of ann ${n}`)).toBe(40);
  });

  it('makes room for one who holds nothing among what another has filled it with', async () => {
    await using world = await open();
    const { store } = world;
    for (let n = 0; n < 3_000; n += 50) {
      await inOneGo(50, (i) => store.set(`of mallory ${n + i}`, VALUE, MINUTE_MS, word('mallory', n + i)));
    }
    await inOneGo(40, (n) => store.set(`of ann ${n}`, VALUE, MINUTE_MS, word('ann', n)));
    expect(await countOf(store, 40, (n) => `of ann ${n}`)).toBe(40);
    expect(await heldBytes(store)).toBeLessThanOrEqual(MAX_BYTES);
  });

  it('lets nobody take along what another has set, too', async () => {
    await using world = await open();
    const { store } = world;
    await inOneGo(40, (n) => store.set(`shared ${n}`, VALUE, MINUTE_MS / 2, word('ann', n)));
    await inOneGo(40, (n) => store.set(`shared ${n}`, VALUE, MINUTE_MS / 2, { owner: 'mallory' }));
    for (let n = 0; n < 3_000; n += 50) {
      await inOneGo(50, (i) => store.set(`of mallory ${n + i}`, VALUE, MINUTE_MS, word('mallory', n + i)));
    }
    expect(await countOf(store, 40, (n) => `shared ${n}`)).toBe(40);
  });

  it('gives all of itself to one who is alone, the last that came', async () => {
    await using world = await open();
    const { store } = world;
    for (let n = 0; n < 3_000; n += 50) {
      await inOneGo(50, (i) => store.set(`of ann ${n + i}`, VALUE, MINUTE_MS, { owner: 'ann' }));
    }
    expect(await heldBytes(store)).toBeGreaterThan(0.9 * MAX_BYTES);
    expect(await heldBytes(store)).toBeLessThanOrEqual(MAX_BYTES);
    expect(await store.get('of ann 2999')).toBeDefined();
    expect(await store.get('of ann 0')).toBeUndefined();
  });

  it('sets nothing under a word that is not in force', async () => {
    await using world = await open();
    const { store } = world;
    const under = { key: 'word', value: 'one', ttlMs: MINUTE_MS, mayBegin: false };
    const isSet = async () => (await store.get('key')) !== undefined;
    await store.set('key', VALUE, MINUTE_MS, { under });
    expect(await isSet()).toBe(false);
    expect(await store.get('word')).toBeUndefined();
    await store.set('key', VALUE, MINUTE_MS, { under: { ...under, mayBegin: true } });
    expect(await isSet()).toBe(true);
    expect(String(await store.get('word'))).toBe('one');
    await store.delete('key');
    await store.set('key', VALUE, MINUTE_MS, { under });
    expect(await isSet()).toBe(true);
    await store.delete('key');
    await store.renew('word', 'two', MINUTE_MS);
    expect(String(await store.get('word'))).toBe('~two');
    await store.set('lease', VALUE, MINUTE_MS);
    await store.set('key', VALUE, MINUTE_MS, { under: { ...under, mayBegin: true }, gone: 'lease' });
    expect(await isSet()).toBe(false);
    await eventually('the lease is gone', async () => (await store.get('lease')) === undefined);
    await store.set('key', VALUE, MINUTE_MS, { under: { ...under, value: 'two' } });
    expect(await isSet()).toBe(true);
    expect(String(await store.get('word'))).toBe('two');
  });
});

describe('the bounded store in Redis', () => {
  it('keeps the memory of Redis within the bound too, keys, books and all', async () => {
    await using world = await STORES.redis();
    const client = await createClient({ url: redis.url }).connect();
    const used = async () => Number(/used_memory:(\d+)/.exec(await client.info('memory'))?.[1]);
    const before = await used();
    const key = (n: number) => `cache:entry:["/budgeting","subject ann","${n}"]`;
    for (let n = 0; n < 5_000; n += 50) {
      await inOneGo(50, (i) => world.store.set(key(n + i), VALUE, MINUTE_MS));
    }
    const grownBytes = (await used()) - before;
    await client.close();
    // Redis keeps buffers for its clients beside the keys.
    expect(grownBytes).toBeLessThan(1.5 * MAX_BYTES);
  });

  it('puts one value there and another away in one command', async () => {
    await using world = await STORES.redis();
    await world.store.set('lease', VALUE, MINUTE_MS);
    await world.store.set('key', VALUE, MINUTE_MS, { gone: 'lease' });
    expect((await world.store.get('key'))?.equals(VALUE)).toBe(true);
    expect(await eventually('it is gone', async () => (await world.store.get('lease')) === undefined)).toBe(
      true,
    );
  });

  it('lets one of many claim a key until it is deleted, which takes no room of values', async () => {
    await using world = await STORES.redis();
    const { store } = world;
    await store.set('key', VALUE, MINUTE_MS);
    const before = await heldBytes(store);
    const claims = ['a', 'b', 'c'].map((value) => store.claim('lease', value, MINUTE_MS));
    expect(await Promise.all(claims)).toEqual([true, false, false]);
    expect(String(await store.get('lease'))).toBe('a');
    expect(await heldBytes(store)).toBe(before);
    await store.delete('lease');
    expect(await store.claim('lease', 'd', MINUTE_MS)).toBe(true);
    await expect(store.claim('lease', 'e', 0)).rejects.toThrow(RangeError);
  });

  it('reads many keys in the order asked for, those that are not there too, and goes on when scripts are forgotten', async () => {
    await using world = await STORES.redis();
    const client = await createClient({ url: redis.url }).connect();
    await world.store.set('a', 'one', MINUTE_MS);
    await client.scriptFlush();
    await client.close();
    await world.store.set('b', 'two', MINUTE_MS);
    const read = async () => (await world.store.getAll(['b', 'none', 'a'])).map((value) => value?.toString());
    expect(await read()).toEqual(['two', undefined, 'one']);
    // Now from memory, which hears of changes.
    expect(await read()).toEqual(['two', undefined, 'one']);
    await world.store.set('none', 'three', MINUTE_MS);
    expect(await read()).toEqual(['two', 'three', 'one']);
  });

  it('forgets what has expired', async () => {
    await using world = await STORES.redis();
    for (let n = 0; n < 10; n += 1) await world.store.set(`short ${n}`, VALUE, 1);
    await eventually('the books say so', async () => {
      await world.store.set('long', VALUE, MINUTE_MS);
      const [held] = await world.store.usage();
      return held?.entries === 1;
    });
  });
});

it.each(['cache:index', 'cache:records', 'cache:owned', 'cache:owners'])(
  'a Redis that has lost %s holds no more than before, and goes on',
  async (book) => {
    await using world = await STORES.redis();
    await using client = await connected();
    const fill = (name: string, owner: string) =>
      inOneGo(2_000, (n) => world.store.set(`${name} ${n}`, VALUE, MINUTE_MS, { owner }));
    await fill('first', 'ann');
    const before = await client.dbSize();
    await client.del(book);
    await fill('second', 'ben');
    await fill('third', 'cid');
    expect(await heldBytes(world.store)).toBeLessThanOrEqual(MAX_BYTES);
    // What was in the books before may be there until it expires.
    expect(await client.dbSize()).toBeLessThanOrEqual(2 * before);
    expect((await world.store.get('third 1999'))?.equals(VALUE)).toBe(true);
  },
);
