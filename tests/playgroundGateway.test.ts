import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from '@jest/globals';
import { eventually } from './support/eventually.ts';
import {
  interruptPlayground,
  isAlive,
  runPlayground,
  startPlayground,
  type TestPlayground,
} from './support/playground.ts';

/** Twelve processes on two cores that other tests use as well. */
const STARTS_WITHIN_MS = 30_000;
const FREE_PORTS = ['--base-port=0', '--registry-port=0', '--external-port=0', '--internal-port=0'];

describe('playground with the gateway', () => {
  let playground: TestPlayground | undefined;

  afterEach(async () => {
    await playground?.stop();
    playground = undefined;
  });

  it(
    'is ready for the walk-through: log in, call with the token, call internally',
    async () => {
      playground = await startPlayground(['--replicas=budgeting=2']);
      const { external, internal } = playground.urls;
      const login = await fetch(`${external}/userManagement/auth/login`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ username: 'test@example.com', password: 'password' }),
      });
      const { access_token } = (await login.json()) as { access_token: string };
      const headers = { Authorization: `Bearer ${access_token}` };
      expect((await fetch(`${external}/budgeting/api/transactions`, { headers })).status).toBe(200);
      expect((await fetch(`${external}/budgeting/api/transactions`)).status).toBe(401);
      const replicas = new Set<string | null>();
      for (let call = 0; call < 3; call++) {
        const answer = await fetch(`${internal}/internal/budgeting/api/balance`);
        replicas.add(answer.headers.get('X-Replica'));
      }
      expect(replicas.size).toBe(2);
    },
    STARTS_WITHIN_MS,
  );

  it(
    'passes the environment on',
    async () => {
      playground = await startPlayground([], { REQUEST_TIMEOUT: '150ms' });
      const answer = await fetch(`${playground.urls.internal}/internal/sharing/slow?ms=5000`);
      expect(answer.status).toBe(504);
    },
    STARTS_WITHIN_MS,
  );

  it(
    'keeps its state in a Redis on request',
    async () => {
      playground = await startPlayground([`--redis=${process.env.TEST_REDIS_URL}`]);
      expect((await fetch(`${playground.urls.external}/readyz`)).status).toBe(200);
    },
    STARTS_WITHIN_MS,
  );

  it(
    'drains the gateway while the services still answer',
    async () => {
      playground = await startPlayground();
      const stream = await fetch(`${playground.urls.internal}/internal/sharing/stream?chunks=3&ms=300`);
      const stopped = playground.stop();
      expect(await stream.text()).toBe('chunk 1 of 3\nchunk 2 of 3\nchunk 3 of 3\n');
      expect(await stopped).toBe(0);
      expect(playground.output()).not.toContain('✘');
    },
    STARTS_WITHIN_MS,
  );

  it(
    'leaves no orphans when it is killed',
    async () => {
      // Its files are all that is left of it, and are not to pile up.
      const directory = await mkdtemp(join(tmpdir(), 'killed-playground-'));
      playground = await startPlayground([], { TMPDIR: directory });
      const pids = Object.values(playground.pids);
      expect(pids.filter(isAlive)).toHaveLength(12);
      await playground.stop('SIGKILL');
      await eventually('all children have ended', () => !pids.some(isAlive));
      await rm(directory, { recursive: true });
    },
    STARTS_WITHIN_MS,
  );

  it(
    'stops in order, and removes its files, when it is interrupted while it starts',
    async () => {
      const directory = await mkdtemp(join(tmpdir(), 'stopped-playground-'));
      const { exitCode, stdout } = await interruptPlayground('✔ budgeting.1', FREE_PORTS, {
        TMPDIR: directory,
      });
      expect(exitCode).toBe(0);
      expect(stdout).not.toContain('✘');
      expect(await readdir(directory)).toEqual([]);
      await rm(directory, { recursive: true });
    },
    STARTS_WITHIN_MS,
  );

  it(
    'ends non-zero, and stops the services, when the gateway dies',
    async () => {
      playground = await startPlayground();
      process.kill(playground.pids.gateway ?? 0, 'SIGKILL');
      expect(await playground.exited).toBe(1);
      expect(playground.output()).toContain('✘ gateway was killed by SIGKILL. Its last lines:');
      expect(Object.values(playground.pids).filter(isAlive)).toEqual([]);
    },
    STARTS_WITHIN_MS,
  );

  it(
    'ends non-zero, with the last lines, when the gateway does not start',
    async () => {
      const { exitCode, stdout } = await runPlayground(FREE_PORTS, { REQUEST_TIMEOUT: 'nonsense' });
      expect(exitCode).toBe(1);
      expect(stdout).toMatch(/✘ gateway ended with exit code 1\. Its last lines:\n[^✘]*REQUEST_TIMEOUT/);
    },
    STARTS_WITHIN_MS,
  );
});
