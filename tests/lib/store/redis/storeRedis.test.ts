import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { createClient, type RedisClientType } from 'redis';
import { openRedisStore } from '../../../../lib/store/redis/redis.ts';
import type { Stores } from '../../../../lib/store/store.ts';
import { eventually } from '../../../support/eventually.ts';
import { type RedisServer, startRedis } from '../../../support/stores/redis.ts';

const MINUTE_MS = 60_000;
// Real processes on a machine that may be busy.
jest.setTimeout(30_000);

/** Two gateways that share one Redis of their own, so that the commands it counts are theirs. */
describe('two gateways on one Redis', () => {
  let redis: RedisServer;
  let here: Stores;
  let there: Stores;
  let raw: RedisClientType;

  beforeEach(async () => {
    redis = await startRedis();
    const options = { url: redis.url, timeoutMs: 1_000 };
    [here, there] = await Promise.all([openRedisStore(options), openRedisStore(options)]);
    raw = createClient({ url: redis.url });
    raw.on('error', () => {});
    await raw.connect();
  });
  afterEach(async () => {
    await Promise.all([here.close(), there.close()]);
    raw.destroy();
    await redis.stop();
  });

  /** How many of `command` the server has run. */
  async function callsOf(command: string): Promise<number> {
    const stats = await raw.info('commandstats');
    return Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(stats)?.[1] ?? 0);
  }

  test('a value that was read once is answered from memory', async () => {
    await here.tokens.set('key', 'value', MINUTE_MS);
    await here.tokens.get('key');
    // The answer to the first read may still be dropped by the news of the write before it.
    await eventually('the value is remembered', async () => {
      const before = await callsOf('get');
      await here.tokens.get('key');
      return (await callsOf('get')) === before;
    });
    const before = await callsOf('get');
    for (let n = 0; n < 1_000; n += 1) expect(String(await here.tokens.get('key'))).toBe('value');
    expect(await callsOf('get')).toBe(before);
  });

  test('what is being written when a gateway stops is written, by a script that Redis does not know yet as well', async () => {
    await raw.sendCommand(['SCRIPT', 'FLUSH']);
    const written = here.responses.set('last', Buffer.from('words'), MINUTE_MS);
    await Promise.all([here.close(), written]);
    expect(String(await there.responses.get('last'))).toBe('words');
  });

  test('so is the absence of a value: the usual answer to "is this token revoked?"', async () => {
    for (let n = 0; n < 1_000; n += 1) expect(await here.tokens.get('absent')).toBeUndefined();
    expect(await callsOf('get')).toBe(1);
  });

  test('a thousand callers who want the same key at once ask Redis once', async () => {
    await raw.set('key', 'value');
    const values = await Promise.all(Array.from({ length: 1_000 }, () => here.tokens.get('key')));
    expect(new Set(values.map(String))).toEqual(new Set(['value']));
    expect(await callsOf('get')).toBe(1);
  });

  test.each(['tokens', 'responses'] as const)('a change there reaches the memory here (%s)', async (kind) => {
    expect(await here[kind].get('key')).toBeUndefined();
    await there[kind].set('key', 'first', MINUTE_MS);
    await eventually('the first value is seen', async () => String(await here[kind].get('key')) === 'first');
    await there[kind].set('key', 'second', MINUTE_MS);
    await eventually(
      'the second value is seen',
      async () => String(await here[kind].get('key')) === 'second',
    );
    await there[kind].delete('key');
    await eventually('the value is gone', async () => (await here[kind].get('key')) === undefined);
  });

  test('a value changed while its answer is on its way is not remembered', async () => {
    for (let n = 0; n < 200; n += 1) {
      const key = `race:${n}`;
      await Promise.all([here.tokens.get(key), there.tokens.set(key, 'value', MINUTE_MS)]);
    }
    await here.tokens.publish('fence', 'all news sent before has arrived when this is answered');
    for (let n = 0; n < 200; n += 1) expect(String(await here.tokens.get(`race:${n}`))).toBe('value');
  });

  test('a key that expires is dropped from memory, and FLUSHALL empties it', async () => {
    await raw.set('short', 'value', { expiration: { type: 'PX', value: 50 } });
    await raw.set('long', 'value');
    await here.tokens.get('short');
    expect(await here.tokens.get('long')).toBeDefined();
    await eventually('the key expires', async () => (await here.tokens.get('short')) === undefined);
    await raw.flushAll();
    await eventually('the memory is empty', async () => (await here.tokens.get('long')) === undefined);
  });

  test('large values stay out of the way of small ones', async () => {
    await here.close();
    here = await openRedisStore({ url: redis.url, timeoutMs: 1_000, localBytes: 2 ** 20 });
    await raw.set('small', 'value');
    await raw.set('large', Buffer.alloc(2 ** 20));
    await here.tokens.get('small');
    await here.tokens.get('large');
    const before = await callsOf('get');
    await here.tokens.get('small');
    await here.tokens.get('large');
    expect(await callsOf('get')).toBe(before + 1);
  });

  test('a message reaches both gateways', async () => {
    const channel = randomUUID();
    const heard: string[] = [];
    await here.tokens.subscribe(channel, (message) => heard.push(`here ${message}`));
    await there.tokens.subscribe(channel, (message) => heard.push(`there ${message}`));
    await here.tokens.publish(channel, 'revoked');
    await eventually('both have heard it', () => heard.length === 2);
    expect(heard.sort()).toEqual(['here revoked', 'there revoked']);
  });

  test('messages between responses of every size disturb neither', async () => {
    await raw.set('large', Buffer.alloc(300_000, 'x'));
    const heard: string[] = [];
    await here.tokens.subscribe('news', (message) => heard.push(message));
    const reads = Array.from({ length: 50 }, async (_, n) => {
      await there.tokens.publish('news', String(n));
      await raw.set('large', Buffer.alloc(300_000 + n, 'x'));
      return (await here.tokens.get('large'))?.length;
    });
    const lengths = await Promise.all(reads);
    expect(lengths.every((length) => length && length >= 300_000 && length < 300_050)).toBe(true);
    await eventually('all messages arrive', () => heard.length === 50);
  });

  test('a command that Redis refuses is refused here, and the next one works', async () => {
    await raw.configSet('maxmemory', '1');
    await expect(here.tokens.set('key', 'value', MINUTE_MS)).rejects.toMatchObject({
      name: 'StoreUnavailableError',
      message: expect.stringContaining('OOM') as unknown,
    });
    expect(await here.tokens.get('key')).toBeUndefined();
    await raw.configSet('maxmemory', '0');
    await here.tokens.set('key', 'value', MINUTE_MS);
    expect(String(await here.tokens.get('key'))).toBe('value');
  });
});
