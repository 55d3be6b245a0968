import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { createClient } from 'redis';
import { ApiKeys } from '../../../../lib/apikeys/apiKeys.ts';
import { KeyRing } from '../../../../lib/apikeys/keyRing.ts';
import { Purges } from '../../../../lib/cache/stored/purge.ts';
import type { StoreStateChange } from '../../../../lib/store/redis/redisNode.ts';
import { HashRing } from '../../../../lib/store/sharded/ring.ts';
import { openShardedStore, type ShardedStoresOptions } from '../../../../lib/store/sharded/sharded.ts';
import { type Stores, StoreUnavailableError, type TokenStore } from '../../../../lib/store/store.ts';
import { eventually } from '../../../support/eventually.ts';
import { DURABLE, type RedisServer, startRedis } from '../../../support/stores/redis.ts';

const MINUTE_MS = 60_000;
const LASTS = { lasts: true };
// Real processes on a machine that may be busy.
jest.setTimeout(60_000);

describe('the ring', () => {
  const keys = Array.from({ length: 3_000 }, (_, n) => `cache:entry:["/budgeting","/budgeting/${n}"`);
  const owners = (names: readonly string[]) => {
    const ring = new HashRing(names);
    return keys.map((key) => names[ring.ownerOf(key)]);
  };

  test('gives each node about the same share, whatever the order of the names', () => {
    const names = ['redis-1', 'redis-2', 'redis-3', 'redis-4'];
    const given = owners(names);
    for (const name of names) {
      const share = given.filter((owner) => owner === name).length / keys.length;
      expect(share).toBeGreaterThan(0.18);
      expect(share).toBeLessThan(0.32);
    }
    expect(owners(names.toReversed())).toEqual(given);
  });

  test('moves only the keys of a node that leaves', () => {
    const before = owners(['a', 'b', 'c', 'd']);
    const after = owners(['a', 'b', 'd']);
    const moved = keys.filter((_, i) => before[i] !== after[i]);
    expect(moved).toEqual(keys.filter((_, i) => before[i] === 'c'));
  });
});

const NAMES = ['a', 'b', 'c'] as const;
let redises: RedisServer[];
const opened: Stores[] = [];
beforeAll(async () => {
  redises = await Promise.all(NAMES.map(() => startRedis({ args: DURABLE })));
});
afterEach(async () => {
  for (const stores of opened.splice(0)) await stores.close();
  for (const redis of redises) {
    // One that was killed remembers what it knew.
    await command(redis, ['PING']).catch(() => redis.restart());
    await command(redis, ['FLUSHALL']);
  }
});
afterAll(() => Promise.all(redises.map((redis) => redis.stop())));

const newKey = () => `test:${randomUUID()}`;
const redisAt = (name: string) => redises[NAMES.indexOf(name as 'a')] as RedisServer;
const rejected = expect.objectContaining({ code: 'store_unavailable' });

async function command(redis: RedisServer, words: readonly string[]): Promise<unknown> {
  const client = createClient({ url: redis.url, socket: { reconnectStrategy: false } }).on('error', () => {});
  await client.connect();
  try {
    return await client.sendCommand(words);
  } finally {
    client.destroy();
  }
}

interface Opened extends Stores {
  readonly changes: StoreStateChange[];
}

/** A gateway's view of the first so many nodes, as reached through `urlOf`. */
async function open(options: Partial<ShardedStoresOptions> = {}, count = 3): Promise<Opened> {
  const changes: StoreStateChange[] = [];
  const nodes = NAMES.slice(0, count).map((name) => ({ name, url: redisAt(name).url }));
  const stores = await openShardedStore({
    nodes,
    timeoutMs: 2_000,
    heartbeatMs: 50,
    onStateChange: (change) => changes.push(change),
    ...options,
  });
  opened.push(stores);
  return { ...stores, changes };
}

const upNodes = async ({ nodes }: Stores) =>
  (await nodes())
    ?.filter(({ isUp }) => isUp)
    .map(({ name }) => name)
    .join('');
const areUp = (stores: Stores, names: string) =>
  eventually(`${names} are up`, async () => (await upNodes(stores)) === names);

async function kill(name: string, ...stores: Stores[]): Promise<void> {
  await redisAt(name).kill();
  for (const each of stores)
    await eventually('it is noticed', async () => !(await upNodes(each))?.includes(name));
}

async function restart(name: string, ...stores: Stores[]): Promise<void> {
  await redisAt(name).restart();
  for (const each of stores)
    await eventually('it is back', async () => (await upNodes(each))?.includes(name));
}

async function known(store: TokenStore, key: string): Promise<string | undefined> {
  const value = await store.get(key);
  return value && String(value);
}

describe('what is to last', () => {
  test('is on every node, and is told by any of them, from memory too', async () => {
    const { tokens } = await open();
    await tokens.set('blacklist:x', '1', MINUTE_MS, LASTS);
    for (const redis of redises) expect(await command(redis, ['GET', 'blacklist:x'])).toBe('1');
    for (const name of ['a', 'b']) await command(redisAt(name), ['DEL', 'blacklist:x']);
    expect(await known(tokens, 'blacklist:x')).toBe('1');
    expect(String(tokens.peek('blacklist:x')?.value)).toBe('1');
  });

  test('is there whichever single node dies after it was stored, also without another one', async () => {
    const [here, there] = [await open(), await open()];
    await kill('a', here, there);
    await here.tokens.set('blacklist:x', '1', MINUTE_MS, LASTS);
    await here.tokens.putInGroup('revocations', 'id', 'revoked');
    for (const dying of ['b', 'c']) {
      await restart('a', here, there);
      await kill(dying, here, there);
      expect(await known(there.tokens, 'blacklist:x')).toBe('1');
      expect((await there.tokens.getGroup('revocations')).map(({ value }) => String(value))).toEqual([
        'revoked',
      ]);
      await restart(dying, here, there);
      await kill('a', here, there);
    }
  });

  test('is not said to be stored when it is on one node alone', async () => {
    const { tokens, trouble } = await open({}, 2);
    expect(await trouble()).toBeUndefined();
    const killed = redisAt('b').kill();
    await killed;
    await eventually('it is noticed', async () =>
      (await trouble())?.startsWith('1 of 2 nodes cannot be used'),
    );
    await expect(tokens.set('blacklist:x', '1', MINUTE_MS, LASTS)).rejects.toEqual(rejected);
    await expect(tokens.putInGroup('revocations', 'id', 'x')).rejects.toEqual(rejected);
    // What need not last, and reading, go on.
    await tokens.set('token:x', '1', MINUTE_MS);
    expect(await known(tokens, 'token:x')).toBe('1');
  });

  test('cannot be told when two of three nodes are away', async () => {
    const stores = await open();
    const { tokens } = stores;
    await tokens.get('blacklist:x');
    expect(tokens.peek('blacklist:x')).toEqual({ value: undefined });
    await kill('a', stores);
    await tokens.get('blacklist:x');
    expect(tokens.peek('blacklist:x')).toEqual({ value: undefined });
    await kill('b', stores);
    expect(tokens.peek('blacklist:x')).toBeUndefined();
    expect(tokens.peekGroup('revocations')).toBeUndefined();
    await expect(tokens.get('blacklist:x')).rejects.toBeInstanceOf(StoreUnavailableError);
    await expect(tokens.getGroup('revocations')).rejects.toBeInstanceOf(StoreUnavailableError);
    await expect(tokens.set('blacklist:y', '1', MINUTE_MS, LASTS)).rejects.toEqual(rejected);
  });

  test('is copied to a node that comes back without it, before the next one is lost', async () => {
    const stores = await open();
    const { tokens } = stores;
    await tokens.set('blacklist:x', '1', MINUTE_MS, LASTS);
    for (const group of ['revocations', 'apikeys']) await tokens.putInGroup(group, 'id', 'revoked');
    for (const name of NAMES) {
      await kill(name, stores);
      // As one that keeps nothing on its disk.
      await redisAt(name).restart();
      await command(redisAt(name), ['FLUSHALL']);
      await redisAt(name).restart();
      await eventually('it has all', async () => {
        const [mark, ...groups] = await Promise.all([
          command(redisAt(name), ['PTTL', 'blacklist:x']),
          command(redisAt(name), ['HGET', 'revocations', 'id']),
          command(redisAt(name), ['HGET', 'apikeys', 'id']),
        ]);
        return Number(mark) > 0 && Number(mark) <= MINUTE_MS && groups.every((value) => value === 'revoked');
      });
      await areUp(stores, 'abc');
    }
    expect(await known(tokens, 'blacklist:x')).toBe('1');
  });

  test('is that an API key was revoked, whichever node has missed it', async () => {
    const stores = await open();
    const { tokens: store } = stores;
    const keys = new ApiKeys({ store });
    const ring = new KeyRing({ keys, store });
    const grants = { name: 'n', owner: 'o', scopes: [], claims: {}, expiresAtMs: null };
    const { text, state } = await ring.create(grants);
    await kill('c', stores);
    const rotated = await ring.rotate(state.id, MINUTE_MS);
    await ring.revoke(state.id);
    await restart('c', stores);
    await kill('a', stores);
    for (const key of [text, rotated.text]) {
      await expect(keys.authenticate(key)).rejects.toMatchObject({ code: 'api_key_revoked' });
    }
  });

  test('is copied by a gateway that starts, to whichever node misses it', async () => {
    for (const name of NAMES) await command(redisAt(name), ['SET', `blacklist:${name}`, '1', 'PX', '60000']);
    await command(redisAt('b'), ['HSET', 'revocations', 'id', 'revoked']);
    await open();
    for (const redis of redises) {
      await eventually('it has all', async () => {
        const keys = (await command(redis, ['KEYS', '*'])) as string[];
        return keys.filter((key) => key !== 'token:trial').length === 4;
      });
    }
  });

  test('is copied for the whole of its life, also when a copy was broken off before', async () => {
    const marked = redises.slice(1);
    for (const redis of marked) {
      await command(redis, ['SET', 'blacklist:x', '1', 'PX', String(10 * MINUTE_MS)]);
      await command(redis, ['SET', 'blacklist:endless', '1']);
      // Half of a copy is done without it.
      await command(redis, ['ACL', 'SETUSER', 'default', '-pttl']);
    }
    const errors: string[] = [];
    await open({ onError: ({ message }) => errors.push(message) });
    await eventually('copying has failed', () => errors.length > 0);
    expect(errors[0]).toMatch(/^Redis node a has not got all revocations and API keys of [bc]: Redis: /);
    for (const redis of marked) await command(redis, ['ACL', 'SETUSER', 'default', '+pttl']);
    await eventually('it has all', async () => {
      const lives = ['blacklist:x', 'blacklist:endless'].map((key) => command(redisAt('a'), ['PTTL', key]));
      const [left, endless] = await Promise.all(lives);
      return Number(left) > MINUTE_MS && endless === -1;
    });
  });

  test('is copied without that all gateways read all of it again for each revocation', async () => {
    const stores = await open();
    const fields = Array.from({ length: 2_000 }, (_, n) => [`id ${n}`, `revocation ${n}`]).flat();
    await kill('a', stores);
    for (const name of ['b', 'c']) await command(redisAt(name), ['HSET', 'revocations', ...fields]);
    await restart('a', stores);
    // As for each request.
    await eventually('it has all', async () => {
      expect(await stores.tokens.getGroup('revocations')).toHaveLength(2_000);
      return (await command(redisAt('a'), ['HLEN', 'revocations'])) === 2_000;
    });
    const stats = String(await command(redisAt('a'), ['INFO', 'commandstats']));
    expect(Number(/cmdstat_hgetall:calls=(\d+)/.exec(stats)?.[1])).toBeLessThan(20);
  });

  test('does not come back when it is taken back while it is copied', async () => {
    const stores = await open();
    const count = 4_000;
    const fields = Array.from({ length: count }, (_, n) => [`id ${n}`, `revocation ${n}`]).flat();
    await kill('a', stores);
    for (const name of ['b', 'c']) await command(redisAt(name), ['HSET', 'revocations', ...fields]);
    await restart('a', stores);
    const taken = Array.from({ length: count / 20 }, (_, n) => `id ${n * 20}`);
    for (const id of taken) expect(await stores.tokens.removeFromGroup('revocations', id)).toBe(true);
    const left = count - taken.length;
    await eventually(
      'the rest is copied',
      async () => (await command(redisAt('a'), ['HLEN', 'revocations'])) === left,
    );
    for (const name of NAMES) {
      const values = await command(redisAt(name), ['HMGET', 'revocations', ...taken]);
      expect([name, values]).toEqual([name, taken.map(() => null)]);
    }
  });

  test('is copied to a node that was full, once there is room', async () => {
    const stores = await open();
    await areUp(stores, 'abc');
    await command(redisAt('a'), ['CONFIG', 'SET', 'maxmemory', '1']);
    try {
      await areUp(stores, 'bc');
      expect(await stores.trouble()).toBeUndefined();
      await stores.tokens.set('blacklist:x', '1', MINUTE_MS, LASTS);
      await stores.tokens.putInGroup('revocations', 'id', 'revoked');
      expect(await command(redisAt('a'), ['EXISTS', 'blacklist:x', 'revocations'])).toBe(0);
    } finally {
      await command(redisAt('a'), ['CONFIG', 'SET', 'maxmemory', '0']);
    }
    await eventually(
      'it has all',
      async () => (await command(redisAt('a'), ['EXISTS', 'blacklist:x', 'revocations'])) === 2,
    );
    await areUp(stores, 'abc');
  });

  test('is copied once for a node that comes and goes many times meanwhile', async () => {
    const errors: unknown[] = [];
    const stores = await open({ timeoutMs: 20_000, onError: (error) => errors.push(error) });
    await stores.tokens.set('blacklist:x', '1', MINUTE_MS, LASTS);
    const [flapping, slow] = redises as [RedisServer, RedisServer];
    const scans = async () =>
      Number(
        /cmdstat_scan:calls=(\d+)/.exec(String(await command(slow, ['INFO', 'commandstats'])))?.[1] ?? 0,
      );
    await eventually('the first copies are made', async () => (await scans()) >= 2);
    await command(slow, ['CONFIG', 'RESETSTAT']);
    const before = stores.changes.length;
    const returns = () =>
      stores.changes.slice(before).filter(({ store, ready }) => store === 'tokens' && ready).length;
    slow.freeze();
    try {
      for (let flaps = 1; flaps <= 10; flaps += 1) {
        await command(flapping, ['CLIENT', 'KILL', 'TYPE', 'normal']).catch(() => {});
        await eventually('it is back', () => returns() >= flaps);
      }
    } finally {
      slow.thaw();
    }
    await eventually('copies are made', async () => (await scans()) > 0, 20_000);
    await stores.close();
    // What was under way at the start, one that had begun and one that waited; not ten.
    expect(await scans()).toBeLessThanOrEqual(5);
    expect(errors).toEqual([]);
  });

  test('is taken back from every node or not at all', async () => {
    const stores = await open();
    const { tokens } = stores;
    await tokens.putInGroup('revocations', 'id', 'revoked');
    expect((await tokens.getGroup('revocations')).map(({ value }) => String(value))).toEqual(['revoked']);
    await kill('c', stores);
    await expect(tokens.removeFromGroup('revocations', 'id')).rejects.toEqual(rejected);
    await restart('c', stores);
    expect((await tokens.getGroup('revocations')).map(({ value }) => String(value))).toEqual(['revoked']);
    expect(await tokens.removeFromGroup('revocations', 'id')).toBe(true);
    // A copy that is under way puts it back for an instant.
    await eventually('it is gone', async () => (await tokens.getGroup('revocations')).length === 0);
  });
});

test('a group is the same array until it changes, from memory and from the nodes', async () => {
  const [here, there] = [await open(), await open()];
  await here.tokens.putInGroup('revocations', 'a', 'first');
  const group = await eventually('it is remembered', async () => {
    const read = await here.tokens.getGroup('revocations');
    return here.tokens.peekGroup('revocations')?.value === read ? read : undefined;
  });
  expect(await here.tokens.getGroup('revocations')).toBe(group);
  await there.tokens.putInGroup('revocations', 'b', 'second');
  await eventually(
    'the change is heard',
    async () => (await here.tokens.getGroup('revocations')).length === 2,
  );
});

describe('messages', () => {
  test('are heard once and in order, with all nodes and without one', async () => {
    const [here, there] = [await open(), await open()];
    const heard: string[] = [];
    const leave = await there.tokens.subscribe('news', (message) => heard.push(message));
    for (const message of ['1', '2 and\nmore', '3']) await here.tokens.publish('news', message);
    await eventually('the third', () => heard.length === 3);
    await kill('a', here, there);
    for (const message of ['4', '5']) await here.tokens.publish('news', message);
    await eventually('the fifth', () => heard.length === 5);
    await restart('a', here, there);
    await kill('c', here, there);
    await here.tokens.publish('news', '6');
    await eventually('the sixth', () => heard.length === 6);
    expect(heard).toEqual(['1', '2 and\nmore', '3', '4', '5', '6']);
    await leave();
  });

  test('without an id, from whoever they are, pass as they are', async () => {
    const { tokens } = await open();
    const heard: string[] = [];
    await tokens.subscribe('news', (message) => heard.push(message));
    await command(redisAt('a'), ['PUBLISH', '0:news', '{"a": "b"}']);
    await eventually('it is heard', () => heard.length === 1);
    expect(heard).toEqual(['{"a": "b"}']);
  });
});

describe('responses', () => {
  const under = (path: string) => ({
    epoch: `cache:epoch:["/budgeting","${path}"]`,
    entry: `cache:entry:["/budgeting","${path}","everyone","word","http","?a=1"]`,
    lease: `cache:lease:0 cache:entry:["/budgeting","${path}","everyone","word","http","?a=1"]`,
  });
  const paths = Array.from({ length: 60 }, (_, n) => `/budgeting/${n}"\\"`.replaceAll('"', '\\"'));

  test('of one path are on one node, with their epoch and lease, and paths on all nodes', async () => {
    const { responses } = await open();
    for (const path of paths) {
      const { epoch, entry, lease } = under(path);
      expect(await responses.claim(lease, 'x', MINUTE_MS)).toBe(true);
      const word = { key: epoch, value: 'word', ttlMs: MINUTE_MS, mayBegin: true };
      await responses.set(entry, 'value', MINUTE_MS, { under: word, gone: lease });
    }
    const counts = await Promise.all(redises.map((redis) => command(redis, ['KEYS', 'cache:e*'])));
    const sizes = counts.map((keys) => (keys as string[]).length);
    expect(sizes.reduce((sum, size) => sum + size)).toBe(2 * paths.length);
    for (const keys of counts as string[][]) {
      const [epochs, entries] = [/^cache:epoch:/, /^cache:entry:/].map((kind) =>
        keys.filter((key) => kind.test(key)),
      );
      expect(epochs?.length).toBe(entries?.length);
      expect(epochs?.length).toBeGreaterThan(0);
      expect(keys.some((key) => key.startsWith('cache:lease'))).toBe(false);
    }
    expect(await responses.usage()).toContainEqual(expect.objectContaining({ tier: 'store', entries: 120 }));
  });

  test('of a node that is lost are refused at once, and no others', async () => {
    const stores = await open();
    const { responses } = stores;
    const entries = paths.map((path) => under(path).entry);
    for (const entry of entries) await responses.set(entry, 'value', MINUTE_MS);
    const lost = new Set((await command(redisAt('b'), ['KEYS', 'cache:entry:*'])) as string[]);
    expect(lost.size).toBeGreaterThan(0);
    await kill('b', stores);
    const outcomes = await Promise.all(
      entries.map(async (entry) => [entry, await responses.get(entry).then(String, ({ code }) => code)]),
    );
    for (const [entry = '', outcome] of outcomes)
      expect(outcome).toBe(lost.has(entry) ? 'store_unavailable' : 'value');
    let refused = 0;
    for (const entry of lost) responses.get(entry).catch(() => (refused += 1));
    await new Promise(setImmediate);
    expect(refused).toBe(lost.size);
  });

  test('are bounded, all nodes together', async () => {
    const { responses } = await open({ maxResponseBytes: 3 * 64 * 1024 });
    for (const path of [...paths, ...paths.map((path) => `${path}/more`)])
      await responses.set(under(path).entry, Buffer.alloc(4 * 1024), MINUTE_MS);
    const [stored] = await responses.usage();
    expect(stored?.bytes).toBeLessThanOrEqual(3 * 64 * 1024);
    expect(stored?.bytes).toBeGreaterThan(2 * 64 * 1024);
  });
});

describe('the log of purges', () => {
  const tagsIn = (purges: Purges, bytes: Buffer | undefined) =>
    purges.logIn(bytes).records.map(({ value }) => value);

  test('is the newest of all copies: what was purged while a node was away holds when it is back', async () => {
    const [here, there] = [await open(), await open()];
    const purges = new Purges({ store: here.responses, now: Date.now });
    const others = new Purges({ store: there.responses, now: Date.now });
    await purges.purge({ tag: 'one' });
    await kill('a', here, there);
    await purges.purge({ tag: 'two' });
    await restart('a', here, there);
    await others.purge({ tag: 'three' });
    await kill('b', here, there);
    expect(tagsIn(purges, await here.responses.get('cache:purges'))).toEqual(['one', 'two', 'three']);
    expect(tagsIn(purges, here.responses.peek('cache:purges')?.value as Buffer)).toEqual([
      'one',
      'two',
      'three',
    ]);
    const [log] = await here.responses.getAll(['cache:purges']);
    expect(tagsIn(purges, log)).toEqual(['one', 'two', 'three']);
  });

  test('loses none of many that come at a time, from two gateways', async () => {
    const all = [await open(), await open()].map(
      ({ responses }) => new Purges({ store: responses, now: Date.now }),
    );
    const tags = Array.from({ length: 20 }, (_, n) => `tag ${n}`);
    await Promise.all(tags.map((tag, n) => all[n % 2]?.purge({ tag })));
    const { responses } = await open();
    for (const redis of redises) expect(await command(redis, ['EXISTS', 'cache:purges'])).toBe(1);
    expect(
      tagsIn(new Purges({ store: responses, now: Date.now }), await responses.get('cache:purges')).sort(),
    ).toEqual(tags.sort());
  });

  test('takes a URL whose node is away', async () => {
    const stores = await open();
    const purges = new Purges({ store: stores.responses, now: Date.now });
    await kill('a', stores);
    const urls = Array.from({ length: 30 }, (_, n) => `/budgeting/${n}`);
    for (const url of urls) await purges.purge({ url: `${url}?a=b` });
    const logged = tagsIn(purges, await stores.responses.get('cache:purges'));
    expect(logged.length).toBeGreaterThan(0);
    expect(logged.length).toBeLessThan(urls.length);
    expect(urls).toEqual(expect.arrayContaining(logged));
  });
});

describe('a start', () => {
  test('goes on without one node and says which is away, not without two', async () => {
    await redisAt('c').kill();
    const stores = await open();
    expect(stores.changes).toContainEqual(expect.objectContaining({ node: 'c', ready: false }));
    expect(await stores.trouble()).toBeUndefined();
    expect(await stores.degraded()).toMatch(/^1 of 3 nodes cannot be used: .*nothing listens there/);
    expect(await stores.nodes()).toEqual([
      { name: 'a', isUp: true },
      { name: 'b', isUp: true },
      { name: 'c', isUp: false },
    ]);
    await redisAt('b').kill();
    await expect(open()).rejects.toThrow(
      `Redis node b at ${redisAt('b').url} could not be used within 5000 ms: nothing listens there (ECONNREFUSED). ` +
        'Start it, correct REDIS_NODES, or set REDIS_REQUIRED=false to start without it',
    );
    const unrequired = await open({ required: false, connectTimeoutMs: 500 });
    await unrequired.settled;
    const lost = unrequired.changes.filter(({ ready }) => !ready).map(({ node }) => node);
    // On a busy machine the third may be late as well.
    expect(lost).toEqual(expect.arrayContaining(['b', 'c']));
    const [, ...away] = await Promise.all([redisAt('b').restart(), redisAt('c').restart()]);
    expect(away).toHaveLength(1);
    await eventually('it is whole again', async () => (await stores.degraded()) === undefined);
  });

  test('that requires no node tells of those that are away', async () => {
    await redisAt('c').kill();
    const { changes } = await open({ required: false, connectTimeoutMs: 1_000 });
    const isTold = () => changes.find(({ node, ready }) => node === 'c' && !ready);
    const { cause } = await eventually('it is told', isTold);
    expect(cause?.message).toContain('ECONNREFUSED');
  });

  test('warns once of two names that lead to one server', async () => {
    const warnings: string[] = [];
    const [a, b] = redises as [RedisServer, RedisServer];
    const nodes = [
      { name: 'a', url: a.url },
      { name: 'b', url: b.url },
      { name: 'again', url: a.url.replace('127.0.0.1', 'localhost') },
    ];
    const stores = await open({ nodes, onWarning: (message) => warnings.push(message) });
    await eventually('it is told', () => warnings.length > 0);
    await command(a, ['CLIENT', 'KILL', 'TYPE', 'normal']);
    await eventually('both are back', () => stores.changes.filter(({ ready }) => ready).length >= 10);
    const expected = ['REDIS_NODES: a and again are one server: what is stored on them is lost with it'];
    expect(warnings).toEqual(expected);
  });

  test('does not wait for one node that loads its data', async () => {
    const redis = redisAt('c');
    const value = 'x'.repeat(4_096);
    await command(redis, ['MSET', ...Array.from({ length: 350 }, (_, n) => [`key:${n}`, value]).flat()]);
    await command(redis, ['BGREWRITEAOF']);
    await eventually('its file is written', async () =>
      String(await command(redis, ['INFO', 'persistence'])).includes('aof_rewrite_in_progress:0'),
    );
    await redis.kill();
    // Nine seconds in all.
    const slowly = ['--key-load-delay', '25000', '--loading-process-events-interval-bytes', '1024'];
    const loading = redis.restart(slowly).catch(() => redis.restart());
    const isLoading = () =>
      command(redis, ['GET', 'x']).then(
        () => false,
        ({ message }: Error) => message.startsWith('LOADING'),
      );
    await eventually('it loads', isLoading);
    const stores = await open({ connectTimeoutMs: 3_000 });
    expect(await isLoading()).toBe(true);
    const { cause } = stores.changes.find(({ node, ready }) => node === 'c' && !ready) ?? {};
    expect(cause?.message).toContain('it is still loading its data (LOADING)');
    await loading;
  });

  test('fails where nodes refuse the password, and prints no password', async () => {
    const nodes = NAMES.map((name) => ({
      name,
      url: `redis://nobody:s3cret@127.0.0.1:${redisAt(name).port}`,
    }));
    const { message } = await open({ nodes }).then(Object, (error: Error) => error);
    expect(message).toMatch(
      /^REDIS_NODES, a: the server refused the password, or the user name .*, at redis:\/\/nobody:\*\*\*@127\.0\.0\.1:\d+$/,
    );
  });

  test('warns of a node that may evict revocations, by its name', async () => {
    for (const [name, value] of [
      ['maxmemory', '100mb'],
      ['maxmemory-policy', 'allkeys-lru'],
    ] as const)
      await command(redisAt('b'), ['CONFIG', 'SET', name, value]);
    const told: unknown[] = [];
    const { eviction } = await open({ onEviction: (found) => told.push(found) });
    const expected = { policy: 'allkeys-lru', maxMemoryBytes: 104_857_600, node: 'b' };
    await eventually('it is told', () => told.length > 0);
    expect(told).toEqual([expected]);
    expect(await eviction()).toEqual(expected);
    await command(redisAt('b'), ['CONFIG', 'SET', 'maxmemory', '0']);
  });
});

test('counts of one key are on one node, and go on elsewhere when it is lost', async () => {
  const stores = await open();
  const count = "return redis.call('INCR', KEYS[1])";
  const keys = Array.from({ length: 30 }, newKey);
  for (const key of keys) {
    expect(await stores.evaluate?.(count, [key], [])).toBe(1);
    expect(await stores.evaluate?.(count, [key], [])).toBe(2);
  }
  const lost = (await command(redisAt('a'), ['KEYS', 'test:*'])) as string[];
  await kill('a', stores);
  for (const key of keys) {
    const counted = Promise.resolve(stores.evaluate?.(count, [key], [])).catch(({ code }) => code);
    expect(await counted).toBe(lost.includes(key) ? 'store_unavailable' : 3);
  }
});
