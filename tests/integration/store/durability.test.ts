import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { bearer, tokenFor } from '../../support/gateway/gateway.ts';
import { type GatewayRun, runGateway } from '../../support/gateway/gatewayRun.ts';
import { expectProblem } from '../../support/gateway/problem.ts';
import { DURABLE, type RedisServer, startRedis } from '../../support/stores/redis.ts';
import { startUpstream, type Upstream } from '../../support/upstreams/upstream.ts';

const WITHIN_MS = 30_000;

describe('a revoked token stays revoked', () => {
  let upstream: Upstream;
  let redis: RedisServer;
  const dataDir = mkdtempSync(join(tmpdir(), 'gateway-durable-'));

  beforeAll(async () => {
    upstream = await startUpstream();
    redis = await startRedis({ args: DURABLE });
  });
  afterAll(async () => {
    await redis.stop();
    await upstream[Symbol.asyncDispose]();
    rmSync(dataDir, { recursive: true, force: true });
  });

  const run = (env: Record<string, string>): GatewayRun =>
    runGateway({ services: { '/budgeting': [upstream], '/userManagement': [upstream] }, env });
  const get = (external: string, token: string) =>
    fetch(`${external}/budgeting/x`, { headers: bearer(token) });

  /** Logs in fact out: 200 means that the token must never be accepted again. */
  async function logOut(external: string): Promise<string> {
    const token = tokenFor('ann');
    expect((await get(external, token)).status).toBe(200);
    const answer = await fetch(`${external}/userManagement/auth/logout`, {
      method: 'POST',
      headers: bearer(token),
    });
    expect(answer.status).toBe(200);
    return token;
  }

  it(
    'when the gateway with the embedded store is killed the moment it has answered',
    async () => {
      await using first = run({ DATA_DIR: dataDir });
      const token = await logOut((await first.listening()).external);
      expect(await first.kill('SIGKILL')).toMatchObject({ signal: 'SIGKILL' });
      await using second = run({ DATA_DIR: dataDir });
      const { external } = await second.listening();
      await expectProblem(await get(external, token), 'token_revoked');
      expect((await get(external, tokenFor('ann'))).status).toBe(200);
    },
    WITHIN_MS,
  );

  it(
    'when gateway and Redis are killed the moment the gateway has answered',
    async () => {
      const env = { REDIS_URL: redis.url };
      await using first = run(env);
      const token = await logOut((await first.listening()).external);
      await Promise.all([first.kill('SIGKILL'), redis.kill()]);
      await redis.restart();
      await using second = run(env);
      const { external } = await second.listening();
      await expectProblem(await get(external, token), 'token_revoked');
      expect((await get(external, tokenFor('ann'))).status).toBe(200);
    },
    WITHIN_MS,
  );
});
