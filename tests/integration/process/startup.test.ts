import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import { RawClient, request } from '../../support/clients/rawClient.ts';
import { eventually } from '../../support/eventually.ts';
import {
  gatewayEnvironment,
  NEVER_LOGGED,
  STORES,
  TEST_SECRET,
  tokenFor,
} from '../../support/gateway/gateway.ts';
import { type GatewayRun, runGateway } from '../../support/gateway/gatewayRun.ts';
import { freePort } from '../../support/stores/redis.ts';
import { hangs, startRawUpstream, startUpstream } from '../../support/upstreams/upstream.ts';

const WITHIN_MS = 30_000;
const ROOT = new URL('../../../', import.meta.url).href;
const execFileAsync = promisify(execFile);

// It waits for five seconds: the other tests of this file run meanwhile.
const withoutRedis = runGateway({ services: { '/up': [] }, env: { REDIS_URL: 'redis://127.0.0.1:1' } });
const startedWithoutRedisAt = performance.now();
const refused = withoutRedis.exited.then(() => performance.now() - startedWithoutRedisAt);

async function refusal(run: GatewayRun): Promise<string> {
  await using _ = run;
  expect(await run.exited).toEqual({ exitCode: 1, signal: null });
  expect(run.stderr()).not.toMatch(/^\s+at /m);
  return run.stderr();
}

describe('a gateway that cannot start', () => {
  it(
    'names every bad setting, its value and what is accepted, and ends with 1',
    async () => {
      const said = await refusal(
        runGateway({
          services: {},
          env: {
            GATEWAY_FILE: '',
            REQUEST_TIMEOUT: 'soon',
            EXTERNAL_PORT: '99999',
            LOG_LEVEL: 'loud',
            PER_SERVICE_LIMT: '5',
            MAX_BODY_BYTES: '-1',
            JWT_SECRET: '',
          },
        }),
      );
      for (const part of [
        'REQUEST_TIMEOUT',
        '"soon"',
        'EXTERNAL_PORT',
        '"99999"',
        'LOG_LEVEL',
        '"loud"',
        'PER_SERVICE_LIMIT',
        'MAX_BODY_BYTES',
        'JWT_SECRET',
      ]) {
        expect(said).toContain(part);
      }
    },
    WITHIN_MS,
  );

  it(
    'in production refuses an example for a secret, without repeating it',
    async () => {
      const secret = 'change-me-please-this-is-an-example-secret';
      const said = await refusal(
        runGateway({ services: { '/up': [] }, env: { NODE_ENV: 'production', JWT_SECRET: secret } }),
      );
      expect(said).toContain('JWT_SECRET');
      expect(said).not.toContain(secret);
    },
    WITHIN_MS,
  );

  it.each(['EXTERNAL_PORT', 'INTERNAL_PORT'])(
    'names %s when something else listens there',
    async (setting) => {
      const squatter = createServer().listen(0, '127.0.0.1');
      await once(squatter, 'listening');
      const { port } = squatter.address() as AddressInfo;
      const said = await refusal(runGateway({ services: { '/up': [] }, env: { [setting]: String(port) } }));
      expect(said).toContain(`${setting} is "${port}"`);
      squatter.close();
    },
    WITHIN_MS,
  );

  it(
    'names DATA_DIR when nothing can be kept there',
    async () => {
      const said = await refusal(
        runGateway({ services: { '/up': [] }, env: { DATA_DIR: '/dev/null/data' } }),
      );
      expect(said).toContain('DATA_DIR');
      expect(said).toContain('/dev/null/data');
    },
    WITHIN_MS,
  );
});

describe('a gateway that starts', () => {
  it(
    'without a Redis that it does not require says so in /readyz, and serves who needs no token',
    async () => {
      await using upstream = await startUpstream();
      await using run = runGateway({
        services: { '/up': [upstream] },
        env: { REDIS_URL: `redis://127.0.0.1:${await freePort()}`, REDIS_REQUIRED: 'false' },
      });
      const { external, internal } = await run.listening();
      const answer = await fetch(`${external}/readyz`);
      expect(answer.status).toBe(503);
      expect(await answer.json()).toEqual({
        status: 'not ready',
        missing: ['store'],
        reasons: { store: 'Redis: nothing listens there (ECONNREFUSED)' },
      });
      expect((await fetch(`${internal}/internal/up/x`)).status).toBe(200);
    },
    WITHIN_MS,
  );

  it.each(['SIGTERM', 'SIGINT'] as const)(
    'ends with 0 on %s, once what is under way has finished',
    async (signal) => {
      let finish = () => {};
      await using upstream = await startUpstream((_req, res) => {
        finish = () => res.end('finished');
      });
      await using run = runGateway({ services: { '/up': [upstream] }, env: { DRAIN_TIMEOUT: '20s' } });
      const { internal } = await run.listening();
      const answer = fetch(`${internal}/internal/up/x?secret=${NEVER_LOGGED}`);
      await eventually('it is there', () => upstream.requests.length === 1);
      const ended = run.kill(signal);
      // A second signal at once, as npm and a terminal send it, changes nothing.
      run.kill(signal);
      await eventually('new connections are refused', () =>
        fetch(`${internal}/healthz`).then(
          () => false,
          () => true,
        ),
      );
      finish();
      expect(await (await answer).text()).toBe('finished');
      expect(await ended).toEqual({ exitCode: 0, signal: null });
      expect(run.stdout()).toContain('"Drained"');
      expect(run.stderr()).toBe('');
      for (const secret of [NEVER_LOGGED, TEST_SECRET]) expect(run.stdout()).not.toContain(secret);
    },
    WITHIN_MS,
  );

  it(
    'cuts what has not finished when DRAIN_TIMEOUT is over, and ends with 0',
    async () => {
      await using upstream = await startRawUpstream(hangs);
      await using run = runGateway({
        services: { '/up': [upstream] },
        env: { DRAIN_TIMEOUT: '50ms', REQUEST_TIMEOUT: '60s' },
      });
      const { internal } = await run.listening();
      using client = await RawClient.to(internal);
      client.send(request('GET /internal/up/x'));
      await eventually('it is there', () => upstream.requests.length === 1);
      const ended = run.kill('SIGTERM');
      expect((await client.answer()).status).toBe(503);
      expect(await ended).toEqual({ exitCode: 0, signal: null });
    },
    WITHIN_MS,
  );
});

/** Starts and stops a gateway, and leaves it to Node to find that there is nothing left to do. */
const STARTS_AND_STOPS = `
  import { loadSettings } from '${ROOT}config/config.ts';
  import { Gateway } from '${ROOT}gateway/gateway.ts';
  import { createLogger } from '${ROOT}lib/logging/logger.ts';
  const logger = createLogger({ level: 'warn', format: 'json' });
  const gateway = await Gateway.create({ settings: loadSettings(process.env), logger });
  const { externalPort, internalPort } = await gateway.start();
  await (await fetch('http://127.0.0.1:' + internalPort + '/internal/up/x')).text();
  const headers = { Authorization: 'Bearer ' + process.env.TOKEN };
  await (await fetch('http://127.0.0.1:' + externalPort + '/up/x', { headers })).text();
  await gateway.stop();
  process.stdout.write('stopped');
`;

describe.each(STORES)('a gateway with the %s store that has stopped', (store) => {
  it(
    'keeps no process alive',
    async () => {
      await using upstream = await startUpstream();
      const directory = mkdtempSync(join(tmpdir(), 'gateway-stopped-'));
      const env = {
        PATH: process.env.PATH,
        TOKEN: tokenFor('ann'),
        ...gatewayEnvironment({ services: { '/up': [upstream] }, store }, directory),
      };
      const args = ['--input-type=module', '--eval', STARTS_AND_STOPS];
      const { stdout, stderr } = await execFileAsync(process.execPath, args, { env, timeout: 10_000 });
      rmSync(directory, { recursive: true });
      expect({ stdout, stderr }).toEqual({ stdout: 'stopped', stderr: '' });
      expect(upstream.requests).toHaveLength(2);
    },
    WITHIN_MS,
  );
});

describe('a gateway without its Redis', () => {
  it(
    'says within five seconds that Redis is not there, and what to do',
    async () => {
      // Five seconds for Redis, the rest for starting a process on a busy machine.
      expect(await refused).toBeLessThan(9_000);
      const said = await refusal(withoutRedis);
      expect(said).toContain(
        'Redis at redis://127.0.0.1:1/0 could not be used within 5000 ms: nothing listens there',
      );
      expect(said).toContain('REDIS_REQUIRED=false');
    },
    WITHIN_MS,
  );
});
