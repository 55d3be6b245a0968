import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { createClient } from 'redis';
import { openStores } from '../../../lib/store/open.ts';
import type { Store, Stores } from '../../../lib/store/store.ts';
import { eventually } from '../../support/eventually.ts';
import { ManualClock } from '../../support/manualClock.ts';

/** Each implementation under test, with its own way of showing when a key will be gone. */
interface Subject {
  readonly stores: Stores;
  /** The key's remaining life in milliseconds; 0 when it has none. */
  remainingMs(store: Store, key: string): Promise<number>;
  close(): Promise<void>;
}

async function redisSubject(): Promise<Subject> {
  const url = process.env.TEST_REDIS_URL ?? '';
  const stores = await openStores({ redisUrl: url, dataDir: '/nowhere', timeoutMs: 1_000 });
  const raw = createClient({ url }).on('error', () => {});
  await raw.connect();
  return {
    stores,
    remainingMs: async (_store, key) => Math.max(0, Number(await raw.pTTL(key))),
    async close() {
      await stores.close();
      await raw.close();
    },
  };
}

async function embeddedSubject(): Promise<Subject> {
  const dataDir = mkdtempSync(join(tmpdir(), 'gateway-store-'));
  const clock = new ManualClock();
  const stores = await openStores({ dataDir, clock });
  return {
    stores,
    /** Moves the clock, a second at a time, until the key is gone. */
    async remainingMs(store, key) {
      let elapsedMs = 0;
      while ((await store.get(key)) && elapsedMs < 3_600_000) {
        clock.advance(1_000);
        elapsedMs += 1_000;
      }
      return elapsedMs;
    },
    async close() {
      await stores.close();
      rmSync(dataDir, { recursive: true });
    },
  };
}

const MINUTE_MS = 60_000;
// Real processes on a machine that may be busy.
jest.setTimeout(30_000);
const BINARY = Buffer.from(Uint8Array.from({ length: 256 }, (_, byte) => byte));

describe.each([
  { name: 'redis', kind: 'tokens', open: redisSubject },
  { name: 'redis', kind: 'responses', open: redisSubject },
  { name: 'embedded', kind: 'tokens', open: embeddedSubject },
  { name: 'embedded', kind: 'responses', open: embeddedSubject },
] as const)('$name store, $kind', ({ kind, open }) => {
  let subject: Subject;
  let store: Store;
  beforeAll(async () => {
    subject = await open();
    store = subject.stores[kind];
  });
  afterAll(() => subject.close());
  const newKey = () => `test:${randomUUID()}`;

  test('a key that was never set has no value', async () => {
    expect(await store.get(newKey())).toBeUndefined();
  });

  test.each([
    ['text', 'a token'],
    ['text beyond ASCII', 'żółw 🐢'],
    ['every byte', BINARY],
    ['nothing at all', ''],
    ['1 MiB', randomBytes(2 ** 20)],
  ])('gives back %s as it was set, twice', async (_name, value) => {
    const key = newKey();
    await store.set(key, value, MINUTE_MS);
    for (const _ of ['from the store', 'from memory']) {
      const read = await store.get(key);
      expect(Buffer.isBuffer(read)).toBe(true);
      expect(read?.equals(Buffer.from(value))).toBe(true);
    }
  });

  test('what was set is there for its time to live and no longer', async () => {
    const key = newKey();
    await store.set(key, 'value', MINUTE_MS);
    const remainingMs = await subject.remainingMs(store, key);
    expect(remainingMs).toBeGreaterThan(MINUTE_MS - 10_000);
    expect(remainingMs).toBeLessThanOrEqual(MINUTE_MS);
  });

  test('setting again replaces the value and its time to live', async () => {
    const key = newKey();
    await store.set(key, 'first', MINUTE_MS);
    expect(String(await store.get(key))).toBe('first');
    await store.set(key, 'second', 2 * MINUTE_MS);
    expect(String(await store.get(key))).toBe('second');
    expect(await subject.remainingMs(store, key)).toBeGreaterThan(MINUTE_MS);
  });

  test('what was deleted is gone, and deleting it again is no error', async () => {
    const key = newKey();
    await store.set(key, 'value', MINUTE_MS);
    expect(await store.get(key)).toBeDefined();
    await store.delete(key);
    await store.delete(key);
    expect(await store.get(key)).toBeUndefined();
  });

  test('a key that was absent is found once it is set', async () => {
    const key = newKey();
    expect(await store.get(key)).toBeUndefined();
    await store.set(key, 'value', MINUTE_MS);
    expect(String(await store.get(key))).toBe('value');
  });

  test.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY])(
    'refuses a time to live of %p',
    async (ttlMs) => {
      await expect(store.set(newKey(), 'value', ttlMs)).rejects.toThrow(
        `store: ttlMs must be a positive whole number of milliseconds, got ${ttlMs}`,
      );
    },
  );

  test('every subscriber of a channel gets its messages, in order, and those of no other channel', async () => {
    const [channel, other] = [newKey(), newKey()];
    const [first, second]: [string[], string[]] = [[], []];
    await store.subscribe(channel, (message) => first.push(message));
    await store.subscribe(channel, (message) => second.push(message));
    await store.publish(other, 'not for us');
    for (const message of ['a', 'b', 'żółw 🐢']) await store.publish(channel, message);
    await eventually('the last message arrives', () => second.length === 3);
    expect(first).toEqual(['a', 'b', 'żółw 🐢']);
    expect(second).toEqual(first);
  });

  test('who has left gets nothing more, while the others still do', async () => {
    const channel = newKey();
    const [leaver, stayer]: [string[], string[]] = [[], []];
    const leave = await store.subscribe(channel, (message) => leaver.push(message));
    const leaveLater = await store.subscribe(channel, (message) => stayer.push(message));
    await leave();
    await leave();
    await store.publish(channel, 'one');
    await eventually('the other one hears it', () => stayer.length === 1);
    await leaveLater();
    await store.publish(channel, 'two');
    const back: string[] = [];
    await store.subscribe(channel, (message) => back.push(message));
    await store.publish(channel, 'three');
    await eventually('a new subscriber hears it', () => back.length === 1);
    expect({ leaver, stayer, back }).toEqual({ leaver: [], stayer: ['one'], back: ['three'] });
  });

  test('a subscriber that throws, now or later, keeps nobody else from the message', async () => {
    const channel = newKey();
    const heard: string[] = [];
    await store.subscribe(channel, () => {
      throw new Error('subscriber is broken');
    });
    await store.subscribe(channel, async () => {
      throw new Error('subscriber is broken, later');
    });
    await store.subscribe(channel, (message) => heard.push(message));
    await store.publish(channel, 'message');
    await eventually('the message arrives', () => heard.length === 1);
    await store.set(channel, 'still works', MINUTE_MS);
    expect(String(await store.get(channel))).toBe('still works');
  });

  test('is ready', async () => {
    expect(await subject.stores.trouble()).toBeUndefined();
  });
});

describe.each([
  { name: 'redis', open: redisSubject },
  { name: 'embedded', open: embeddedSubject },
])('$name store, closed', ({ open }) => {
  test('is not ready, refuses calls and may be closed again', async () => {
    const { stores, close } = await open();
    await stores.close();
    expect(await stores.trouble()).toBeDefined();
    await expect(stores.tokens.get('key')).rejects.toMatchObject({ code: 'store_unavailable', status: 503 });
    await expect(stores.tokens.set('key', 'value', 1)).rejects.toMatchObject({
      name: 'StoreUnavailableError',
    });
    await close();
  });
});
