import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createClient } from 'redis';
import { eventually } from '../support/eventually.ts';
import { bearer, startGateway, tokenFor } from '../support/gateway/gateway.ts';
import { type RedisServer, startRedis } from '../support/stores/redis.ts';
import { startUpstream } from '../support/upstreams/upstream.ts';

describe('the commands by which the original is looked at through Redis', () => {
  let redis: RedisServer;

  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(() => redis?.stop());

  async function start() {
    const stack = new AsyncDisposableStack();
    const upstream = stack.use(await startUpstream());
    const gateway = stack.use(
      await startGateway({ services: { '/budgeting': [upstream] }, env: { REDIS_URL: redis.url } }),
    );
    const client = await createClient({ url: redis.url }).connect();
    stack.defer(() => client.close());
    const get = async (path: string) =>
      (await fetch(gateway.external + path, { headers: bearer(tokenFor('ann')) })).text();
    return { client, get, [Symbol.asyncDispose]: () => stack.disposeAsync() };
  }

  it('a burst of requests opens no further connection to Redis', async () => {
    await using world = await start();
    const { client, get } = world;
    // What this test's own client holds is one of them.
    const connections = async () => (await client.clientList()).length - 1;
    const before = await connections();
    await Promise.all(Array.from({ length: 60 }, (_, n) => get(`/budgeting/${n}`)));
    expect(await connections()).toBe(before);
    expect(before).toBe(2);
  });

  it('MONITOR shows what is asked for, and KEYS what is kept', async () => {
    await using world = await start();
    const monitor = connect(redis.port, '127.0.0.1');
    let shown = '';
    monitor.setEncoding('utf8').on('data', (text) => {
      shown += text;
    });
    await once(monitor, 'connect');
    monitor.write('MONITOR\r\n');
    await eventually('it watches', () => shown.startsWith('+OK'));
    await world.get('/budgeting/shown');
    await eventually('the response is kept', async () => {
      const keys = await world.client.keys('*');
      return keys.some((key) => key.startsWith('cache:entry:') && key.includes('/budgeting/shown'));
    });
    expect((await world.client.keys('*')).some((key) => key.startsWith('token:'))).toBe(true);
    await eventually(
      'MONITOR shows it',
      () => shown.includes('/budgeting/shown') && shown.includes('"token:'),
    );
    monitor.destroy();
  });
});
