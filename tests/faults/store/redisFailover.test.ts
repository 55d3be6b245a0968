import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { createClient } from 'redis';
import { Load } from '../../support/clients/load.ts';
import { eventually } from '../../support/eventually.ts';
import { bearer, startGateway, type TestGateway, tokenFor } from '../../support/gateway/gateway.ts';
import { type RedisServer, startRedis } from '../../support/stores/redis.ts';
import { startTcpProxy, type TcpProxy } from '../../support/upstreams/tcpProxy.ts';
import { startUpstream, type Upstream } from '../../support/upstreams/upstream.ts';

// Real processes on a machine that may be busy.
jest.setTimeout(60_000);
/** Twice of what is promised: cores are shared with all that the tests run. */
const OVER_WITHIN_MS = 2_000;

let primary: RedisServer;
let replica: RedisServer;
/** The one address behind which they change places. */
let address: TcpProxy;
let upstream: Upstream;

beforeEach(async () => {
  [primary, replica] = await Promise.all([startRedis(), startRedis()]);
  address = await startTcpProxy(primary.port);
  upstream = await startUpstream();
  await command(replica, ['REPLICAOF', '127.0.0.1', String(primary.port)]);
  await eventually('it follows', async () =>
    String(await command(replica, ['INFO', 'replication'])).includes('master_link_status:up'),
  );
});
afterEach(async () => {
  await address[Symbol.asyncDispose]();
  await upstream[Symbol.asyncDispose]();
  await Promise.all([primary.stop(), replica.stop()]);
});

async function command(redis: RedisServer, words: readonly string[]): Promise<unknown> {
  const client = await createClient({ url: redis.url }).connect();
  try {
    return await client.sendCommand(words);
  } finally {
    client.destroy();
  }
}

/** The old primary follows the new one from now on. Its connections stay open, as they do in Redis. */
async function demote(): Promise<void> {
  await command(replica, ['REPLICAOF', 'NO', 'ONE']);
  await command(primary, ['REPLICAOF', '127.0.0.1', String(replica.port)]);
}

const start = () =>
  startGateway({
    services: { '/budgeting': [upstream], '/userManagement': [upstream] },
    env: { REDIS_URL: `redis://127.0.0.1:${address.port}`, STORE_TIMEOUT: '500ms' },
  });
const use = (gateway: TestGateway, token: string, path = '/budgeting/x') =>
  fetch(`${gateway.external}${path}`, { headers: bearer(token) });
const logout = async (gateway: TestGateway, token: string) =>
  (await fetch(`${gateway.external}/userManagement/auth/logout`, { method: 'POST', headers: bearer(token) }))
    .status;
const readyz = async (gateway: TestGateway) => (await fetch(`${gateway.external}/readyz`)).json();

async function caches(gateway: TestGateway, token: string): Promise<boolean> {
  const path = `/budgeting/${Math.random()}`;
  await (await use(gateway, token, path)).text();
  const again = await use(gateway, token, path);
  await again.text();
  return (again.headers.get('Cache-Status') ?? '').startsWith('gateway; hit');
}

describe('a failover of Redis behind one address', () => {
  it('under load: logouts, the cache and readiness are back soon, and nobody who left is let in', async () => {
    await using gateway = await start();
    const [staying, left, leaving] = [tokenFor('ann'), tokenFor('bob'), tokenFor('carol')];
    expect((await use(gateway, leaving)).status).toBe(200);
    expect(await logout(gateway, left)).toBe(200);
    await eventually(
      'the replica knows',
      async () => (await command(replica, ['DBSIZE'])) === (await command(primary, ['DBSIZE'])),
    );
    await using load = new Load({
      origin: gateway.external,
      target: (n) => `/budgeting/${n % 40}`,
      headers: bearer(left),
      connections: 3,
      pauseMs: 10,
    });
    await eventually('it caches', () => caches(gateway, staying));

    await demote();
    await eventually('readiness says why', async () =>
      JSON.stringify(await readyz(gateway)).includes('it is a replica'),
    );
    expect(await logout(gateway, leaving)).toBe(503);
    address.targetPort = replica.port;
    const reachableAtMs = performance.now();
    await eventually('a logout works', async () => (await logout(gateway, leaving)) === 200);
    await eventually('it caches again', () => caches(gateway, staying));
    expect(performance.now() - reachableAtMs).toBeLessThan(OVER_WITHIN_MS);

    expect(await readyz(gateway)).toEqual({ status: 'ready', missing: [] });
    expect((await use(gateway, staying)).status).toBe(200);
    expect((await use(gateway, leaving)).status).toBe(401);
    // With the store away nobody is let in either.
    expect(load.outcomes.filter(({ status }) => status !== 401 && status !== 503)).toEqual([]);
  });

  it('is noticed by a gateway that nobody uses, which remembers nothing from before', async () => {
    await using gateway = await start();
    const leaving = tokenFor('carol');
    await (await use(gateway, leaving)).text();
    await demote();
    address.targetPort = replica.port;
    // Revoked at the new primary at once, while the old one may not have heard of it.
    await using other = await startGateway({
      services: { '/userManagement': [upstream] },
      env: { REDIS_URL: replica.url, STORE_TIMEOUT: '500ms' },
    });
    expect(await logout(other, leaving)).toBe(200);
    await eventually('it is refused', async () => (await use(gateway, leaving)).status === 401);
    expect(gateway.logLines().map(({ message }) => message)).toContain('Redis is away (tokens)');
  });
});
