import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { promisify } from 'node:util';
import { afterEach, describe, expect, jest, test } from '@jest/globals';
import { createClient } from 'redis';
import { systemClock } from '../../../../lib/clock/clock.ts';
import {
  openRedisStore,
  type RedisStoresOptions,
  type StoreStateChange,
} from '../../../../lib/store/redis/redis.ts';
import { type Store, type Stores, StoreUnavailableError } from '../../../../lib/store/store.ts';
import { eventually } from '../../../support/eventually.ts';
import { ManualClock } from '../../../support/manualClock.ts';
import { DURABLE, freePort, type RedisServer, startRedis } from '../../../support/stores/redis.ts';

const MINUTE_MS = 60_000;
// Real processes on a machine that may be busy.
jest.setTimeout(30_000);
const run = promisify(execFile);

/** What is open, closed again in reverse order after each test. */
const opened: Array<() => Promise<void>> = [];
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

async function ownRedis(args: readonly string[] = []): Promise<RedisServer> {
  const redis = await startRedis({ args });
  opened.push(() => redis.stop());
  return redis;
}

async function openedStore(options: RedisStoresOptions): Promise<Stores> {
  const stores = await openRedisStore(options);
  opened.push(() => stores.close());
  return stores;
}

/** A store whose changes of state are recorded. Short heartbeats, so that silence is noticed soon. */
async function watchedStore(redis: RedisServer, options: Partial<RedisStoresOptions> = {}) {
  const changes: StoreStateChange[] = [];
  const stores = await openedStore({
    url: redis.url,
    timeoutMs: 300,
    heartbeatMs: 50,
    onStateChange: (change) => changes.push(change),
    ...options,
  });
  const latest = (kind: string) => changes.findLast(({ store }) => store === kind)?.ready;
  const wentAway = () => latest('tokens') === false && latest('responses') === false;
  const cameBack = () =>
    eventually('both stores are back', () => latest('tokens') === true && latest('responses') === true);
  return { stores, changes, wentAway, cameBack };
}

async function isReady(store: Store): Promise<boolean> {
  return store.get('probe').then(
    () => true,
    () => false,
  );
}

/** How many of `calls` gets are refused before the event loop has waited for anything at all. */
async function refusedAtOnce(store: Store, calls: number): Promise<number> {
  let refused = 0;
  for (let n = 0; n < calls; n += 1) {
    store.get('key').catch((error) => {
      if (error instanceof StoreUnavailableError) refused += 1;
    });
  }
  await new Promise(setImmediate);
  return refused;
}

const faults = [
  {
    name: 'killed',
    strike: (redis: RedisServer) => redis.kill(),
    heal: (redis: RedisServer) => redis.restart(),
  },
  {
    name: 'frozen',
    strike: async (redis: RedisServer) => redis.freeze(),
    heal: async (redis: RedisServer) => redis.thaw(),
  },
];

describe.each(faults)('a Redis that is $name', ({ strike, heal }) => {
  test('costs nothing per request, answers nothing from memory, and is found again when it is back', async () => {
    const redis = await ownRedis(DURABLE);
    const { stores, wentAway, cameBack } = await watchedStore(redis);
    await stores.tokens.set('key', 'value', MINUTE_MS);
    await eventually(
      'the value is remembered',
      async () => String(await stores.tokens.get('key')) === 'value',
    );

    await strike(redis);
    await eventually('it is noticed without any request', wentAway);
    expect(await refusedAtOnce(stores.tokens, 1_000)).toBe(1_000);
    await expect(stores.tokens.set('key', 'value', 1)).rejects.toMatchObject({ code: 'store_unavailable' });
    const { cause } = await stores.tokens.get('key').then(Object, (error: Error) => error);
    expect(Error.isError(cause)).toBe(true);
    expect(await stores.trouble()).toBeDefined();

    await heal(redis);
    await cameBack();
    expect(String(await stores.tokens.get('key'))).toBe('value');
    expect(await stores.trouble()).toBeUndefined();
  });

  test('leaves nothing in memory: what changed meanwhile is seen', async () => {
    const redis = await ownRedis(DURABLE);
    const { stores, wentAway, cameBack } = await watchedStore(redis);
    await stores.tokens.set('key', 'before', MINUTE_MS);
    await stores.tokens.get('key');
    await strike(redis);
    await eventually('it is noticed', wentAway);
    await heal(redis);
    const raw = await createClient({ url: redis.url })
      .on('error', () => {})
      .connect();
    await raw.set('key', 'after');
    raw.destroy();
    await cameBack();
    expect(String(await stores.tokens.get('key'))).toBe('after');
  });

  test('gets its subscriptions again, those made while it was away included', async () => {
    const redis = await ownRedis();
    const { stores, wentAway, cameBack } = await watchedStore(redis);
    const heard: string[] = [];
    await stores.tokens.subscribe('before', (message) => heard.push(`before ${message}`));
    const leave = await stores.tokens.subscribe('left', (message) => heard.push(`left ${message}`));
    await strike(redis);
    await eventually('it is noticed', wentAway);
    await stores.tokens.subscribe('meanwhile', (message) => heard.push(`meanwhile ${message}`));
    await leave();
    await heal(redis);
    await cameBack();
    for (const channel of ['left', 'before', 'meanwhile']) await stores.tokens.publish(channel, 'news');
    await eventually('the last message arrives', () => heard.length === 2);
    expect(heard).toEqual(['before news', 'meanwhile news']);
  });

  test('settles every call that is under way', async () => {
    const redis = await ownRedis();
    const { stores } = await watchedStore(redis);
    const calls = Array.from({ length: 200 }, (_, n) => stores.tokens.get(`key:${n}`));
    const struck = strike(redis);
    const more = Array.from({ length: 200 }, (_, n) => stores.tokens.set(`key:${n}`, 'value', MINUTE_MS));
    const outcomes = await Promise.allSettled([...calls, ...more]);
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') expect(outcome.reason).toBeInstanceOf(StoreUnavailableError);
    }
    await struck;
    await heal(redis);
  });
});

describe('a Redis that is restarted under load', () => {
  test('loses no acknowledged write, and every other call is refused with the one error', async () => {
    const redis = await ownRedis(DURABLE);
    const { stores, cameBack } = await watchedStore(redis);
    const acknowledged = new Set<string>();
    const errors: unknown[] = [];
    let loading = true;
    const workers = Array.from({ length: 20 }, async (_, worker) => {
      for (let n = 0; loading; n += 1) {
        const key = `load:${worker}:${n}`;
        await stores.tokens.set(key, key, MINUTE_MS).then(
          () => acknowledged.add(key),
          (error) => errors.push(error),
        );
        await new Promise(setImmediate);
      }
    });
    await eventually('the load is on', () => acknowledged.size > 100);
    await redis.restart();
    await cameBack();
    const before = acknowledged.size;
    await eventually('the load goes on', () => acknowledged.size > before + 100);
    loading = false;
    await Promise.all(workers);

    expect(errors.length).toBeGreaterThan(0);
    expect(errors.filter((error) => !(error instanceof StoreUnavailableError))).toEqual([]);
    const raw = await createClient({ url: redis.url })
      .on('error', () => {})
      .connect();
    opened.push(async () => raw.destroy());
    const kept = await raw.mGet([...acknowledged]);
    expect(kept.filter((value) => value === null)).toEqual([]);
  });
});

describe('a hiccup', () => {
  test('of this process is not held against Redis', async () => {
    const redis = await ownRedis();
    const { stores, changes } = await watchedStore(redis);
    const call = stores.tokens.get('key');
    // Lets the command be written, then keeps the process from reading its answer for two deadlines.
    await new Promise(setImmediate);
    blockFor(700);
    expect(await call).toBeUndefined();
    expect(changes.filter(({ ready }) => !ready)).toEqual([]);
  });

  test('of Redis that hits many calls at once counts once', async () => {
    const redis = await ownRedis();
    const { stores, changes } = await watchedStore(redis, { heartbeatMs: MINUTE_MS });
    redis.freeze();
    const calls = Array.from({ length: 50 }, (_, n) => stores.tokens.get(`key:${n}`));
    const outcomes = await Promise.allSettled(calls);
    redis.thaw();
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toEqual([]);
    await eventually('it answers again', () => isReady(stores.tokens));
    expect(changes.filter(({ ready }) => !ready)).toEqual([]);
  });
});

test('by default an idle gateway notices within 0.35 s that Redis is frozen', async () => {
  const redis = await ownRedis();
  const [clock, changes] = [new ManualClock(), [] as StoreStateChange[]];
  const { tokens } = await openedStore({
    url: redis.url,
    clock,
    onStateChange: (change) => changes.push(change),
  });
  // Nothing of the start is under way any more.
  await tokens.get('key');
  const away = () => changes.filter(({ ready }) => !ready).map(({ store }) => store);
  redis.freeze();
  for (let ms = 0; ms < 350; ms += 50) {
    expect(away()).toEqual([]);
    clock.advance(50);
    // Until what the clock called back has sent its PING.
    for (let turn = 0; turn < 5; turn += 1) await new Promise(setImmediate);
  }
  redis.thaw();
  expect(away().sort()).toEqual(['responses', 'tokens']);
});

describe('starting without Redis', () => {
  test('fails within the time given, saying where, why and what to do, but no password', async () => {
    const port = await freePort();
    const opening = openRedisStore({ url: `redis://user:s3cret@127.0.0.1:${port}`, connectTimeoutMs: 200 });
    await expect(opening).rejects.toThrow(
      `Redis at redis://user:***@127.0.0.1:${port} could not be used within 200 ms: nothing listens there (ECONNREFUSED). ` +
        'Start it, correct REDIS_HOST/REDIS_URL, or set REDIS_REQUIRED=false to start without it',
    );
  });

  test('keeps the process alive until the error is out', async () => {
    const port = await freePort();
    const script = `
      import { openRedisStore } from ${JSON.stringify(new URL('../../../../lib/store/redis/redis.ts', import.meta.url).href)};
      await openRedisStore({ url: 'redis://127.0.0.1:${port}', connectTimeoutMs: 300 });`;
    const child = run(process.execPath, ['--input-type=module', '--eval', script]);
    await expect(child).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining('300 ms: nothing listens there (ECONNREFUSED)') as unknown,
    });
  });

  test('fails too when something accepts the connection and stays silent', async () => {
    const silent = createServer((socket) => socket.on('error', () => {}).resume()).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    opened.push(async () => void silent.close());
    const { port } = silent.address() as { port: number };
    const opening = openRedisStore({ url: `redis://127.0.0.1:${port}`, connectTimeoutMs: 100 });
    await expect(opening).rejects.toThrow('could not be used within 100 ms');
  });

  test('waits for one that is late', async () => {
    const redis = await ownRedis();
    await redis.kill();
    const opening = openedStore({ url: redis.url, timeoutMs: 1_000 });
    await redis.restart();
    expect(await (await opening).trouble()).toBeUndefined();
  });

  test('is possible when it is not required: calls are refused until it is there', async () => {
    const redis = await ownRedis();
    await redis.kill();
    const stores = await openedStore({ url: redis.url, required: false });
    expect(await stores.trouble()).toBeDefined();
    await expect(stores.tokens.get('key')).rejects.toBeInstanceOf(StoreUnavailableError);
    const heard: string[] = [];
    await stores.tokens.subscribe('news', (message) => heard.push(message));
    await redis.restart();
    await eventually('the store is ready', async () => (await stores.trouble()) === undefined);
    // It is there within the time of the start.
    await stores.settled;
    await stores.tokens.publish('news', 'here');
    await eventually('the message arrives', () => heard.length === 1);
  });

  test('when it is not required is over after the time of a start, and says that it is away', async () => {
    const clock = new ManualClock();
    const changes: StoreStateChange[] = [];
    const url = `redis://127.0.0.1:${await freePort()}`;
    const onStateChange = (change: StoreStateChange) => changes.push(change);
    const stores = await openedStore({ url, required: false, clock, onStateChange });
    let isSettled = false;
    stores.settled.then(() => {
      isSettled = true;
    });
    await eventually('it has tried', async () => (await stores.trouble())?.includes('ECONNREFUSED') === true);
    clock.advance(4_999);
    await new Promise(setImmediate);
    expect({ isSettled, changes }).toEqual({ isSettled: false, changes: [] });
    clock.advance(1);
    await stores.settled;
    const message = expect.stringMatching(
      /within 5000 ms: nothing listens there \(ECONNREFUSED\)\. Start it or correct REDIS_HOST\/REDIS_URL$/,
    );
    expect(changes).toEqual([
      { store: 'tokens', ready: false, cause: expect.objectContaining({ message }) as unknown },
    ]);
  });

  test('when it is not required ends with the store, and then says nothing', async () => {
    const changes: StoreStateChange[] = [];
    const url = `redis://127.0.0.1:${await freePort()}`;
    const onStateChange = (change: StoreStateChange) => changes.push(change);
    const stores = await openRedisStore({ url, required: false, clock: new ManualClock(), onStateChange });
    await stores.close();
    await stores.settled;
    expect(changes).toEqual([]);
  });

  test.each([
    [
      'a URL that is none',
      { url: 'localhost:6379' },
      'url must look like redis://host:6379/0, got localhost:6379',
    ],
    ['another scheme', { url: 'http://localhost' }, 'url must look like'],
    ['a database that is no number', { url: 'redis://localhost/db' }, 'url must look like'],
    ['a password in a broken URL', { url: 'redis://u:p/w@host:x' }, 'got redis://u:***@host:x'],
    [
      'no time',
      { url: 'redis://localhost', timeoutMs: 0 },
      'timeoutMs must be a whole number above 0, got 0',
    ],
  ])('refuses %s', async (_name, options, message) => {
    await expect(openRedisStore(options)).rejects.toThrow(message);
  });
});

describe('callbacks', () => {
  test('that throw break nothing and are reported', async () => {
    const redis = await ownRedis();
    const errors: string[] = [];
    const stores = await openedStore({
      url: redis.url,
      heartbeatMs: 50,
      onStateChange: () => {
        throw new Error('broken callback');
      },
      onError: (error) => {
        errors.push(error.message);
        throw new Error('broken too');
      },
    });
    await redis.restart();
    await eventually('it is noticed', () => errors.length > 2);
    await eventually('the store is back', () => isReady(stores.tokens));
    expect(new Set(errors)).toEqual(new Set(['broken callback']));
  });

  test('closing leaves no timer behind that goes on', async () => {
    const redis = await ownRedis();
    let pending = 0;
    const CONNECT_TIMEOUT_MS = 400;
    const clock = {
      ...systemClock,
      after(delayMs: number, callback: () => void) {
        pending += 1;
        let done = false;
        const finish = () => {
          if (!done) pending -= 1;
          done = true;
        };
        const cancel = systemClock.after(delayMs, () => {
          finish();
          callback();
        });
        return () => {
          finish();
          cancel();
        };
      },
    };
    const stores = await openRedisStore({ url: redis.url, clock, connectTimeoutMs: CONNECT_TIMEOUT_MS });
    await stores.tokens.get('key');
    // Each connection has a heartbeat; deadlines have run out.
    await eventually('the two heartbeats alone', () => pending === 2);
    await stores.close();
    // Those of deadlines run out; a heartbeat would go on.
    await eventually('none is left', () => pending === 0);
  });
});

/** Keeps this process busy. */
function blockFor(durationMs: number): void {
  const until = performance.now() + durationMs;
  while (performance.now() < until);
}
