import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { createClient } from 'redis';
import { failures, Load } from '../../support/clients/load.ts';
import { eventually } from '../../support/eventually.ts';
import { bearer, startGateway, type TestGateway, tokenFor } from '../../support/gateway/gateway.ts';
import { type RedisServer, startRedis } from '../../support/stores/redis.ts';
import { startUpstream, type Upstream } from '../../support/upstreams/upstream.ts';

// Real processes on a machine that may be busy.
jest.setTimeout(120_000);
/** A node that is silent is given up after three deadlines. */
const NOTICED_WITHIN_MS = 30_000;
const PATHS = Array.from({ length: 30 }, (_, n) => `/budgeting/${n}`);

/** They keep nothing on a disk: one that is started again is empty. */
let nodes: RedisServer[];
let upstream: Upstream;
let gateways: TestGateway[];

beforeEach(async () => {
  nodes = await Promise.all(['a', 'b', 'c'].map(() => startRedis()));
  upstream = await startUpstream((req, res) => {
    const isLogin = req.url?.endsWith('/auth/login');
    res.setHeader('Content-Type', 'application/json');
    res.end(JSON.stringify(isLogin ? { access_token: tokenFor(String(req.headers['x-user'])) } : {}));
  });
  gateways = [];
  for (let n = 0; n < 2; n += 1) gateways.push(await start());
  await seeNodesUp(3);
});
afterEach(async () => {
  for (const gateway of gateways) await gateway[Symbol.asyncDispose]();
  await upstream[Symbol.asyncDispose]();
  await Promise.all(nodes.map((node) => node.stop()));
});

const start = () =>
  startGateway({
    services: { '/budgeting': { upstreams: [upstream], concurrency: 100 }, '/userManagement': [upstream] },
    env: {
      USE_REDIS_SHARDING: 'true',
      REDIS_NODES: ['a', 'b', 'c'].map((name, i) => `${name}:127.0.0.1:${nodes[i]?.port}`).join(','),
      AUTH_REQUIRE_ACTIVE_TOKEN: 'true',
      // Two cores run all of this: what is late is not lost.
      STORE_TIMEOUT: '1s',
      REDIS_REQUIRED: 'false',
      GET_CACHE_TTL: '10m',
      REQUEST_TIMEOUT: '20s',
    },
  });

async function login(gateway: TestGateway, user: string): Promise<string> {
  const url = `${gateway.external}/userManagement/auth/login`;
  const answer = await fetch(url, { method: 'POST', headers: { 'X-User': user } });
  return ((await answer.json()) as { access_token: string }).access_token;
}

async function logout(gateway: TestGateway, token: string): Promise<number> {
  const url = `${gateway.external}/userManagement/auth/logout`;
  const answer = await fetch(url, { method: 'POST', headers: bearer(token) });
  await answer.arrayBuffer();
  return answer.status;
}

/** By the name that both gateways have. */
async function use(gateway: TestGateway, token: string, path = '/budgeting/x') {
  const answer = await fetch(gateway.external + path, {
    headers: { ...bearer(token), 'X-Forwarded-Host': 'gateway.test' },
  });
  await answer.arrayBuffer();
  return { status: answer.status, isHit: answer.headers.get('X-Cache') === 'HIT' };
}

const statusesOf = (token: string) =>
  Promise.all(gateways.map(async (gateway) => (await use(gateway, token)).status));
const nodesUp = (gateway: TestGateway) => gateway.metric('gateway_redis_node_up');
const readyz = async (gateway: TestGateway) => {
  const answer = await fetch(`${gateway.external}/readyz`);
  return { status: answer.status, ...((await answer.json()) as object) };
};

async function seeNodesUp(count: number): Promise<void> {
  for (const gateway of gateways)
    await eventually(
      `${count} nodes are up`,
      async () => (await nodesUp(gateway)) === count,
      NOTICED_WITHIN_MS,
    );
}

const LOSSES = [
  {
    name: 'killed, and started again empty',
    lose: (node: RedisServer) => node.kill(),
    bring: (node: RedisServer) => node.restart(),
  },
  {
    name: 'frozen, and thawed',
    lose: async (node: RedisServer) => node.freeze(),
    bring: async (node: RedisServer) => node.thaw(),
  },
];

describe.each(LOSSES)('under traffic, one of three nodes is $name', ({ lose, bring }) => {
  it('no request fails, nobody who left is let in, and the cache loses the share of that node alone', async () => {
    const [here, there] = gateways as [TestGateway, TestGateway];
    const [staying, left, leaving, afterwards] = (await Promise.all(
      ['ann', 'bob', 'carol', 'dan'].map((user) => login(here, user)),
    )) as [string, string, string, string];
    for (const token of [staying, left, leaving]) expect(await statusesOf(token)).toEqual([200, 200]);
    expect(await logout(there, left)).toBe(200);
    await eventually('it is refused', async () => String(await statusesOf(left)) === '401,401');
    for (const path of PATHS) await use(here, staying, path);
    await eventually('all is stored', async () => (await hits(here, staying)).length === PATHS.length);

    const loads = [staying, left].map(
      (token) =>
        new Load({
          origin: there.external,
          target: (n) => `/budgeting/${n % 30}?new=${n % 3 === 0 ? n : 0}`,
          headers: bearer(token),
          connections: 3,
          pauseMs: 5,
        }),
    ) as [Load, Load];
    try {
      const [lost, next] = nodes as [RedisServer, RedisServer];
      await lose(lost);
      await seeNodesUp(2);
      // It takes no writes, and is given up two deadlines later.
      const kept = await eventually('its share is lost', async () => {
        const found = await hits(here, staying);
        return found.length < PATHS.length && found;
      });
      expect(kept.length).toBeGreaterThan(0);
      expect(await logout(here, leaving)).toBe(200);
      expect(await statusesOf(leaving)).toEqual([401, 401]);
      expect(await statusesOf(await login(here, 'eve'))).toEqual([200, 200]);
      expect(await readyz(here)).toMatchObject({
        status: 'ready',
        missing: [],
        degraded: { store: expect.stringMatching(/^1 of 3 nodes cannot be used: /) },
      });
      await loads[0].more(100);

      await bring(lost);
      await seeNodesUp(3);
      expect(await logout(there, afterwards)).toBe(200);
      await eventually('the node has caught up', async () => (await revokedOn(lost)).length === 3);
      await lose(next);
      await seeNodesUp(2);
      for (const token of [left, leaving, afterwards]) expect(await statusesOf(token)).toEqual([401, 401]);
      expect((await statusesOf(staying)).sort()).toEqual([200, 200]);
      await loads[0].more(100);
      await bring(next);
    } finally {
      await Promise.all(loads.map((load) => load.stop()));
    }
    expect(failures(loads[0].outcomes)).toEqual([]);
    expect(loads[1].outcomes.filter(({ status }) => status !== 401)).toEqual([]);
    await Promise.all(loads.map((load) => load[Symbol.asyncDispose]()));
    expect(here.logLines().map(({ message }) => message)).toContain('Redis node a is away (tokens)');
  });
});

/** The paths of which there is a response without asking the service, or waiting. */
async function hits(gateway: TestGateway, token: string): Promise<string[]> {
  const asked = PATHS.map(async (path) => ({ path, ...(await use(gateway, token, path)) }));
  const answers = await Promise.all(asked);
  expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
  return answers.filter(({ isHit }) => isHit).map(({ path }) => path);
}

async function revokedOn(node: RedisServer): Promise<string[]> {
  const client = await createClient({ url: node.url }).connect();
  const keys = await client.keys('blacklist:*');
  client.destroy();
  return keys;
}
