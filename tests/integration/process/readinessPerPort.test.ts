import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { call } from '../../support/clients/client.ts';
import { failures, Load } from '../../support/clients/load.ts';
import { eventually } from '../../support/eventually.ts';
import { bearer, tokenFor } from '../../support/gateway/gateway.ts';
import { startGatewayProcess } from '../../support/gateway/gatewayProcess.ts';
import { runGateway } from '../../support/gateway/gatewayRun.ts';
import { expectProblem } from '../../support/gateway/problem.ts';
import { type RedisServer, startRedis } from '../../support/stores/redis.ts';
import { startUpstream, type Upstream } from '../../support/upstreams/upstream.ts';

// Real processes on a machine that may be busy.
jest.setTimeout(120_000);

/** What every store may take: a busy machine is no failure. */
const STORE_TIMEOUT = '500ms';
const END_ON_DEMAND = new URL('../../support/programs/endOnDemand.ts', import.meta.url).href;
const READY = { http: 200, status: 'ready', missing: [] };

interface Origins {
  readonly external: string;
  readonly internal: string;
}

async function readyz(gateway: Origins, port: keyof Origins) {
  const { status: http, body } = await call(`${gateway[port]}/readyz`);
  return { http, ...(JSON.parse(String(body)) as { status: string; missing: string[] }) };
}

const isReady = (gateway: Origins, port: keyof Origins) => async () =>
  (await readyz(gateway, port)).http === 200;

let upstream: Upstream;
beforeAll(async () => {
  upstream = await startUpstream();
});
afterAll(async () => upstream[Symbol.asyncDispose]());

describe.each(['1', '2'])('a gateway of %s workers', (WORKERS) => {
  let redis: RedisServer;
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(async () => redis.stop());

  it('that loses Redis stays ready for services, and loses none of their calls', async () => {
    await using gateway = await startGatewayProcess({
      services: { '/up': [upstream] },
      env: { REDIS_URL: redis.url, STORE_TIMEOUT, WORKERS },
    });
    for (const port of ['external', 'internal'] as const)
      await eventually(`${port} is ready`, isReady(gateway, port));
    const load = new Load({ origin: gateway.internal, target: (n) => `/internal/up/${n}`, connections: 4 });
    const probes: number[] = [];
    const probe = async () => {
      const { http } = await readyz(gateway, 'internal');
      probes.push(http);
    };
    await load.more(50);
    await redis.kill();
    await eventually('users are told', async () => {
      await probe();
      return (await readyz(gateway, 'external')).http === 503;
    });
    await load.more(50);
    await eventually('services are told as well', async () => {
      await probe();
      return 'degraded' in (await readyz(gateway, 'internal'));
    });
    expect(await readyz(gateway, 'internal')).toEqual({
      ...READY,
      degraded: { store: expect.stringMatching(/^Redis: /) },
    });
    expect(await readyz(gateway, 'external')).toEqual({
      http: 503,
      status: 'not ready',
      missing: ['store'],
      reasons: { store: expect.stringMatching(/^Redis: /) },
    });
    const refused = await fetch(`${gateway.external}/up/x`, { headers: bearer(tokenFor('ann')) });
    expect(Number(refused.headers.get('Retry-After'))).toBeGreaterThan(0);
    await expectProblem(refused, 'store_unavailable');

    await redis.restart();
    await eventually('users are let in again', async () => {
      await probe();
      return (await readyz(gateway, 'external')).http === 200;
    });
    await eventually('services hear of it', async () => !('degraded' in (await readyz(gateway, 'internal'))));
    await load.more(50);
    expect(failures(await load.stop())).toEqual([]);
    expect(new Set(probes)).toEqual(new Set([200]));
  });

  it('that starts without Redis serves services, lets no user in, and does both once Redis is there', async () => {
    const away = await startRedis();
    await away.kill();
    try {
      await using gateway = await startGatewayProcess({
        services: { '/up': [upstream] },
        env: { REDIS_URL: away.url, REDIS_REQUIRED: 'false', STORE_TIMEOUT, WORKERS },
      });
      // From the beginning, whatever is said to those who could go elsewhere.
      expect((await call(`${gateway.internal}/internal/up/x`)).status).toBe(200);
      expect(await readyz(gateway, 'internal')).toMatchObject({ http: 503, missing: ['store'] });
      await eventually('services are sent here', isReady(gateway, 'internal'), 20_000);
      expect(await readyz(gateway, 'external')).toMatchObject({ http: 503, missing: ['store'] });
      await away.restart();
      await eventually('users are sent here', isReady(gateway, 'external'), 20_000);
      const user = { headers: bearer(tokenFor('ann')) };
      // Each worker connects by itself, and the one that was asked may have been the first.
      const isServed = async () => (await call(`${gateway.external}/up/x`, user)).status === 200;
      await eventually('a user is served', isServed, 20_000);
    } finally {
      await away.stop();
    }
  });
});

it('a worker that ends while Redis is away is replaced, and the gateway is ready for services all along', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'gateway-readiness-'));
  const redis = await startRedis();
  try {
    await using gateway = await startGatewayProcess({
      services: { '/up': [upstream] },
      env: { REDIS_URL: redis.url, STORE_TIMEOUT, WORKERS: '2', DATA_DIR: directory },
      execArgv: ['--import', END_ON_DEMAND],
    });
    await eventually('it is ready', isReady(gateway, 'internal'));
    await redis.kill();
    await eventually('it notices', async () => 'degraded' in (await readyz(gateway, 'internal')));
    writeFileSync(join(directory, 'exit-now'), '');
    await eventually('one has ended', () => existsSync(join(directory, 'exit-now.taken')));
    const said: unknown[] = [];
    // Who was connecting to the one that has ended hears nothing: that is no word of the gateway's.
    const workers = async () => {
      const state = await readyz(gateway, 'internal').catch(() => undefined);
      if (!state) return 'unknown';
      said.push(state.http);
      return (state as { degraded?: { workers?: string } }).degraded?.workers;
    };
    await eventually('one is missing', async () => (await workers()) === '1 of 2 workers take requests');
    await eventually('it is replaced', async () => (await workers()) === undefined, 20_000);
    expect(new Set(said)).toEqual(new Set([200]));
  } finally {
    await redis.stop();
    rmSync(directory, { recursive: true, force: true });
  }
});

it('a start with its Redis there is ready for services with users, not before', async () => {
  const redis = await startRedis();
  try {
    await using run = runGateway({
      services: { '/up': [upstream] },
      env: { REDIS_URL: redis.url, REDIS_REQUIRED: 'false', STORE_TIMEOUT },
    });
    const gateway = await run.listening();
    await eventually('it is ready', isReady(gateway, 'internal'));
    expect(await readyz(gateway, 'external')).toEqual(READY);
  } finally {
    await redis.stop();
  }
});

it('a Redis that hangs keeps no probe of the internal port waiting', async () => {
  const redis = await startRedis();
  try {
    await using gateway = await startGatewayProcess({
      services: { '/up': [upstream] },
      env: { REDIS_URL: redis.url, STORE_TIMEOUT: '5s' },
    });
    await eventually('it is ready', isReady(gateway, 'internal'));
    redis.freeze();
    const frozenAt = performance.now();
    // Until well after the last write that went well has ceased to stand for the next.
    await eventually('it has been asked for long enough', async () => {
      const at = performance.now();
      expect((await readyz(gateway, 'internal')).http).toBe(200);
      expect(performance.now() - at).toBeLessThan(2_500);
      return performance.now() - frozenAt > 2_000;
    });
    redis.thaw();
  } finally {
    await redis.stop();
  }
});

it('a Redis that refuses the password for good leaves the internal port ready', async () => {
  const redis = await startRedis({ args: ['--requirepass', 'right'] });
  try {
    await using run = runGateway({
      services: { '/up': [upstream] },
      env: { REDIS_URL: redis.url, REDIS_PASSWORD: 'wrong', REDIS_REQUIRED: 'false', STORE_TIMEOUT },
    });
    const gateway = await run.listening();
    await eventually('it is ready', isReady(gateway, 'internal'));
    expect(await readyz(gateway, 'external')).toMatchObject({
      http: 503,
      reasons: { store: expect.stringContaining('refused the password') },
    });
    await eventually('it is logged', () => run.stdout().includes('Redis is away (tokens)'));
  } finally {
    await redis.stop();
  }
});
