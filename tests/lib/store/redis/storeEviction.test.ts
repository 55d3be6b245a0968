import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { createClient } from 'redis';
import { evictionIn } from '../../../../lib/store/redis/eviction.ts';
import { eventually } from '../../../support/eventually.ts';
import { startGateway } from '../../../support/gateway/gateway.ts';
import { type RedisServer, startRedis } from '../../../support/stores/redis.ts';

// Real processes on a machine that may be busy.
jest.setTimeout(30_000);
const WARNING = 'Redis may evict revocations: maxmemory-policy is allkeys-lru with maxmemory 104857600.';

it.each([
  ['noeviction', 1, false],
  // Nothing is evicted without a bound.
  ['allkeys-lru', 0, false],
  ['allkeys-lru', 1, true],
  // Logouts have a time to live.
  ['volatile-ttl', 1, true],
])('%s with maxmemory %p: may evict %p', (policy, maxmemory, mayEvict) => {
  const info = `# Memory\r\nmaxmemory:${maxmemory}\r\nmaxmemory_human:1B\r\nmaxmemory_policy:${policy}\r\n`;
  expect(evictionIn(info) !== undefined).toBe(mayEvict);
});

describe('a Redis that may evict revocations', () => {
  let redis: RedisServer;
  beforeAll(async () => {
    redis = await startRedis({ args: ['--maxmemory', '100mb', '--maxmemory-policy', 'allkeys-lru'] });
  });
  afterAll(() => redis.stop());

  async function command(words: readonly string[]): Promise<void> {
    const client = await createClient({ url: redis.url }).connect();
    await client.sendCommand(words);
    client.destroy();
  }

  const start = (url = redis.url) =>
    startGateway({ services: { '/budgeting': [] }, env: { REDIS_URL: url, STORE_TIMEOUT: '1s' } });

  it('is a warning at the start, which names the policy and what to set, and a metric', async () => {
    await using gateway = await start();
    const warning = await eventually('it is said', () =>
      gateway.logLines().find(({ message }) => String(message).startsWith(WARNING)),
    );
    expect(warning).toMatchObject({ level: 'warn' });
    expect(String(warning.message)).toContain('set maxmemory-policy to noeviction');
    expect(await gateway.metric('gateway_store_may_evict')).toBe(1);
    await command(['CONFIG', 'SET', 'maxmemory-policy', 'noeviction']);
    expect(await gateway.metric('gateway_store_may_evict')).toBe(0);
    await command(['CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru']);
  });

  it('that tells this user nothing of itself is used without a word', async () => {
    await command([
      'ACL',
      'SETUSER',
      'quiet',
      'on',
      '>pw',
      '~*',
      '&*',
      '+@all',
      '-@admin',
      '-info',
      '-config',
    ]);
    await using gateway = await start(`redis://quiet:pw@127.0.0.1:${redis.port}`);
    expect(await gateway.metric('gateway_store_may_evict')).toBe(0);
    expect((await fetch(`${gateway.external}/readyz`)).status).toBe(200);
    expect(gateway.logLines().filter(({ level }) => level === 'warn')).toEqual([]);
  });
});
