import { expect, it, jest } from '@jest/globals';
import { createClient } from 'redis';
import { call } from '../../support/clients/client.ts';
import { eventually } from '../../support/eventually.ts';
import { bearer, startGateway, tokenFor } from '../../support/gateway/gateway.ts';
import { startRedis } from '../../support/stores/redis.ts';
import { startUpstream } from '../../support/upstreams/upstream.ts';

// Real processes on a machine that may be busy.
jest.setTimeout(60_000);
const LOGOUT = '/userManagement/auth/logout';

it.each([
  ['too few replicas follow it', 'min-replicas-to-write', '1', '0'],
  ['its memory is full', 'maxmemory', '1', '0'],
])(
  'a Redis that takes no writes because %s makes /readyz 503 until it does again',
  async (_why, name, harm, heal) => {
    await using stack = new AsyncDisposableStack();
    const redis = await startRedis();
    stack.defer(() => redis.stop());
    const service = stack.use(await startUpstream());
    const env = { REDIS_URL: redis.url, STORE_TIMEOUT: '1s' };
    const gateway = stack.use(await startGateway({ services: { '/userManagement': [service] }, env }));
    const client = await createClient({ url: redis.url }).connect();
    stack.defer(() => client.destroy());
    const readiness = async () => (await call(`${gateway.external}/readyz`)).status;
    const token = bearer(tokenFor('ann'));
    const logout = async () =>
      (await call(`${gateway.external}${LOGOUT}`, { method: 'POST', headers: token })).status;

    expect(await readiness()).toBe(200);
    await client.configSet(name, harm);
    await eventually('it says so', async () => (await readiness()) === 503);
    expect(await logout()).toBe(503);
    await client.configSet(name, heal);
    await eventually('it is ready again', async () => (await readiness()) === 200);
    expect(await logout()).toBe(200);
  },
);
