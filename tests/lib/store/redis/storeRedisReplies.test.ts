import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { createClient, ErrorReply } from 'redis';
import { openRedisStore } from '../../../../lib/store/redis/redis.ts';
import { endsConnection, isFinal, redisReason } from '../../../../lib/store/redis/redisReason.ts';
import type { Stores } from '../../../../lib/store/store.ts';
import { StoreUnavailableError } from '../../../../lib/store/store.ts';
import { eventually } from '../../../support/eventually.ts';
import { type RedisServer, startRedis } from '../../../support/stores/redis.ts';

// Real processes on a machine that may be busy.
jest.setTimeout(30_000);
const MINUTE_MS = 60_000;

describe('an error reply of Redis', () => {
  it.each([
    // Redis has another part now, or not its part yet: only a new connection can mend it.
    [
      "READONLY You can't write against a read only replica.",
      true,
      'it is a replica, which takes no writes (READONLY)',
    ],
    [
      "READONLY You can't write against a read only replica. script: 0a1b, on @user_script:12.",
      true,
      '(READONLY)',
    ],
    // As Redis 6 wraps it.
    [
      "ERR Error running script (call to f_0a): @user_script:9: @user_script: 9: -READONLY You can't write against a read only replica.",
      true,
      '(READONLY)',
    ],
    [
      "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
      true,
      'it is a replica that has lost its primary (MASTERDOWN)',
    ],
    ['LOADING Redis is loading the dataset in memory', true, 'it is still loading its data (LOADING)'],
    [
      'BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.',
      true,
      '(BUSY)',
    ],
    [
      'UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)',
      true,
      'it has become a replica (UNBLOCKED)',
    ],
    ['MOVED 3999 127.0.0.1:6381', true, 'it is a node of a cluster (MOVED)'],
    ['ASK 3999 127.0.0.1:6381', true, 'it is a node of a cluster (ASK)'],
    ['TRYAGAIN Multiple keys request during rehashing of slot', true, '(TRYAGAIN)'],
    ["CROSSSLOT Keys in request don't hash to the same slot", true, '(CROSSSLOT)'],
    ['CLUSTERDOWN Hash slot not served', true, 'it is a node of a cluster that is down (CLUSTERDOWN)'],
    ['NOAUTH Authentication required.', true, 'it wants a password and got none (NOAUTH)'],
    // The command is refused, and what was read and remembered holds.
    [
      "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
      false,
      'it refuses writes because it cannot save its data: look at its disk and its log (MISCONF)',
    ],
    [
      "OOM command not allowed when used memory > 'maxmemory'.",
      false,
      'it refuses writes because its memory is full (maxmemory) (OOM)',
    ],
    [
      "ERR Error running script (call to f_0a): @user_script:9: @user_script: 9: -OOM command not allowed when used memory > 'maxmemory'.",
      false,
      '(OOM)',
    ],
    ['NOREPLICAS Not enough good replicas to write.', false, '(min-replicas-to-write) (NOREPLICAS)'],
    [
      "NOPERM User default has no permissions to run the 'set' command",
      false,
      "(NOPERM User default has no permissions to run the 'set' command)",
    ],
    [
      'WRONGTYPE Operation against a key holding the wrong kind of value',
      false,
      'WRONGTYPE Operation against',
    ],
    ['ERR something new', false, 'ERR something new'],
  ])('%s: ends the connection %p', (message, ends, reason) => {
    const reply = new ErrorReply(message);
    expect(endsConnection(reply)).toBe(ends);
    expect(redisReason(reply)).toContain(reason);
  });

  it('is shown without what it repeats of the command', () => {
    const reply = new ErrorReply(
      "ERR unknown command 'HELLO', with args beginning with: '3' 'AUTH' 'default' 's3cret'",
    );
    expect(redisReason(reply)).toBe("it is older than Redis 6 (ERR unknown command 'HELLO')");
    expect(isFinal(reply)).toBe(true);
  });
});

describe('a Redis that refuses writes', () => {
  let redis: RedisServer;
  let stores: Stores;
  const changes: boolean[] = [];
  beforeEach(async () => {
    redis = await startRedis();
    stores = await openRedisStore({
      url: redis.url,
      timeoutMs: 1_000,
      onStateChange: ({ ready }) => void changes.push(ready),
    });
  });
  afterEach(async () => {
    await stores.close();
    await redis.stop();
  });

  async function configure(name: string, value: string): Promise<void> {
    const client = await createClient({ url: redis.url }).connect();
    await client.configSet(name, value);
    client.destroy();
  }

  it.each([
    ['min-replicas-to-write', '1', '0', 'too few replicas follow it'],
    ['maxmemory', '1', '0', 'its memory is full'],
  ])('%s %s: is not ready, is read on, and is ready again', async (setting, harm, heal, words) => {
    await stores.tokens.set('blacklist:x', '1', MINUTE_MS);
    changes.length = 0;
    await configure(setting, harm);
    await eventually('it is not ready', async () => (await stores.trouble())?.includes(words));
    await expect(stores.tokens.set('blacklist:y', '1', MINUTE_MS)).rejects.toBeInstanceOf(
      StoreUnavailableError,
    );
    await expect(stores.responses.swap('cache:x', undefined, 'value', MINUTE_MS)).rejects.toThrow(words);
    expect(String(await stores.tokens.get('blacklist:x'))).toBe('1');
    await configure(setting, heal);
    expect(await stores.trouble()).toBeUndefined();
    expect(changes).toEqual([]);
  });

  it('for one key of another type fails closed, and goes on with all others', async () => {
    const client = await createClient({ url: redis.url }).connect();
    await client.lPush('blacklist:x', 'not a string');
    client.destroy();
    await expect(stores.tokens.get('blacklist:x')).rejects.toBeInstanceOf(StoreUnavailableError);
    expect(await stores.tokens.get('blacklist:y')).toBeUndefined();
    expect(await stores.trouble()).toBeUndefined();
  });
});
