import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { WebSocket } from 'ws';
import { eventually } from '../../support/eventually.ts';
import { bearer, gatewayEnvironment, STORES, TEST_SECRET, tokenFor } from '../../support/gateway/gateway.ts';
import { runGateway } from '../../support/gateway/gatewayRun.ts';
import { run } from '../../support/processes/command.ts';
import { startRedis } from '../../support/stores/redis.ts';
import { startUpstream } from '../../support/upstreams/upstream.ts';
import { startSocketService } from '../../support/upstreams/webSocket.ts';

const WITHIN_MS = 30_000;
const ONCE = join(import.meta.dirname, '../../support/gateway/gatewayOnce.ts');

describe('a gateway process', () => {
  it(
    'told to stop before its store has answered ends with 0 at once',
    async () => {
      const silent = createServer().listen(0, '127.0.0.1');
      await once(silent, 'listening');
      const connected = once(silent, 'connection');
      const { port } = silent.address() as AddressInfo;
      await using process = runGateway({
        services: { '/up': [] },
        env: { REDIS_URL: `redis://127.0.0.1:${port}` },
      });
      const [socket] = await connected;
      expect(await process.kill('SIGTERM')).toEqual({ exitCode: 0, signal: null });
      expect(process.stderr()).toBe('');
      socket.destroy();
      silent.close();
    },
    WITHIN_MS,
  );

  it(
    'told to stop ends WebSockets when DRAIN_TIMEOUT is over, and ends with 0',
    async () => {
      await using service = await startSocketService();
      await using process = runGateway({
        services: { '/socket': [service] },
        env: { DRAIN_TIMEOUT: '50ms' },
      });
      const { internal } = await process.listening();
      const socket = new WebSocket(`${internal.replace('http', 'ws')}/internal/socket/x`);
      const closed = once(socket, 'close');
      await once(socket, 'open');
      expect(await process.kill('SIGTERM')).toEqual({ exitCode: 0, signal: null });
      expect((await closed)[0]).toBe(1001);
      await eventually('the service has lost it too', () => service.sockets.size === 0);
    },
    WITHIN_MS,
  );

  it.each(STORES)(
    'with the %s store ends by itself once its gateway has stopped',
    async (store) => {
      await using upstream = await startUpstream();
      const directory = mkdtempSync(join(tmpdir(), 'gateway-once-'));
      const services = { '/up': [upstream] };
      const env = { PATH: process.env.PATH, ...gatewayEnvironment({ services, store }, directory) };
      const { stdout, stderr } = await run(process.execPath, [ONCE], { cwd: directory, env });
      expect(stdout.toString().match(/^\d+$/gm)).toEqual(['401', '200']);
      expect(stderr).toBe('');
      rmSync(directory, { recursive: true });
    },
    WITHIN_MS,
  );
});

describe('a gateway process reads', () => {
  it(
    'what its environment leaves open from .env in its working directory, and a secret from a file',
    async () => {
      await using upstream = await startUpstream();
      await using process = runGateway({
        services: { '/up': [upstream] },
        env: { JWT_SECRET: '', JWT_SECRET_FILE: 'secret.txt' },
        files: { '.env': 'TRUSTED_PROXIES=127.0.0.1\nEXTERNAL_PORT=1\n', 'secret.txt': `${TEST_SECRET}\n` },
      });
      const { internal, external } = await process.listening();
      await fetch(`${internal}/internal/up/x`, { headers: { 'X-Forwarded-For': '203.0.113.7' } });
      expect(upstream.requests[0]?.fields).toContain('203.0.113.7, 127.0.0.1');
      expect((await fetch(`${external}/up/x`, { headers: bearer(tokenFor('ann')) })).status).toBe(200);
      expect(process.stdout()).not.toContain(TEST_SECRET);
    },
    WITHIN_MS,
  );
});

it(
  'warns once, at its start, of settings that do nothing and of names in .env that are none',
  async () => {
    await using run = runGateway({
      services: { '/up': [] },
      env: { REDIS_PASSWORD: 'hunter2' },
      files: { '.env': 'USE_REDIS_CLUSTER=true\n' },
    });
    await run.listening();
    const warnings = run
      .stdout()
      .split('\n')
      .filter((line) => line.includes('"level":"warn"'))
      .map((line) => JSON.parse(line).message);
    expect(warnings).toEqual([
      'USE_REDIS_CLUSTER in .env is not a setting of the gateway: it does nothing; the nearest is USE_REDIS_SHARDING',
      expect.stringMatching(/^AUTH_ISSUE_PATHS is not set, and no service has the paths/),
      expect.stringMatching(/^AUTH_REVOKE_PATHS is not set, and no service has the paths/),
      expect.stringMatching(/^REDIS_PASSWORD is set and does nothing/),
      expect.stringMatching(/^DRAIN_TIMEOUT is 2s and a request may take 3s/),
    ]);
    expect(run.stdout()).not.toContain('hunter2');
  },
  WITHIN_MS,
);

it(
  'a gateway that does without its Redis is ready once it appears',
  async () => {
    const redis = await startRedis();
    await redis.kill();
    await using process = runGateway({
      services: { '/up': [] },
      env: { REDIS_URL: redis.url, REDIS_REQUIRED: 'false' },
    });
    const { external } = await process.listening();
    const before = await fetch(`${external}/readyz`);
    const why = { store: expect.stringContaining('ECONNREFUSED') };
    const body = { status: 'not ready', missing: ['store'], reasons: why };
    expect([before.status, await before.json()]).toEqual([503, body]);
    await redis.restart();
    await eventually('it is ready', async () => (await fetch(`${external}/readyz`)).status === 200, 20_000);
    expect(process.stdout()).toContain('Redis answers');
    await redis.stop();
  },
  WITHIN_MS,
);
