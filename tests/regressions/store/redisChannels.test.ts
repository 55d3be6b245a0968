import { describe, expect, it } from '@jest/globals';
import { createClient } from 'redis';
import { openRedisStore } from '../../../lib/store/redis/redis.ts';
import { eventually } from '../../support/eventually.ts';
import { bearer, startGateway, tokenFor } from '../../support/gateway/gateway.ts';
import { startRedis } from '../../support/stores/redis.ts';
import { startUpstream } from '../../support/upstreams/upstream.ts';

describe('channels of a Redis', () => {
  it('that may not be used, as is so for users of Redis 7 unless told otherwise, cost the news and no more', async () => {
    const redis = await startRedis();
    await using stack = new AsyncDisposableStack();
    stack.defer(() => redis.stop());
    const admin = await createClient({ url: redis.url }).connect();
    await admin.sendCommand(['ACL', 'SETUSER', 'gateway', 'on', '>password', '~*', '+@all', 'resetchannels']);
    await admin.close();
    const upstream = stack.use(await startUpstream());
    const gateway = stack.use(
      await startGateway({
        services: { '/budgeting': [upstream] },
        env: { REDIS_URL: redis.url.replace('//', '//gateway:password@') },
      }),
    );
    const token = tokenFor('ann');
    for (let i = 0; i < 5; i += 1) {
      const answer = await fetch(`${gateway.external}/budgeting/x`, { headers: bearer(token) });
      expect(answer.status).toBe(200);
    }
    expect((await fetch(`${gateway.external}/readyz`)).status).toBe(200);
    const lines = gateway.logLines().filter(({ level }) => level === 'warn');
    expect(lines).toHaveLength(1);
    expect(JSON.stringify(lines)).toContain('its user needs &0:breakers');
  });

  it('are shared by all its databases, and messages stay in theirs', async () => {
    const redis = await startRedis();
    await using stack = new AsyncDisposableStack();
    stack.defer(() => redis.stop());
    const open = async (database: string) => {
      const stores = await openRedisStore({ url: `${redis.url}${database}`, timeoutMs: 2000 });
      stack.defer(() => stores.close());
      const heard: string[] = [];
      await stores.tokens.subscribe('breakers', (message) => heard.push(message));
      return { heard, publish: (message: string) => stores.tokens.publish('breakers', message) };
    };
    const [production, alsoProduction, staging] = [await open(''), await open('/0'), await open('/1')];
    await staging.publish('of staging');
    await production.publish('of production');
    await eventually('it is heard', () => alsoProduction.heard.length > 0);
    expect([production.heard, alsoProduction.heard]).toEqual([['of production'], ['of production']]);
    expect(staging.heard).toEqual(['of staging']);
  });
});
