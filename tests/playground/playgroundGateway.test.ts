import { mkdtemp, readdir, readlink, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { eventually } from '../support/eventually.ts';
import {
  interruptPlayground,
  isAlive,
  runPlayground,
  startPlayground,
  type TestPlayground,
} from '../support/processes/playground.ts';

/** Five processes on two cores that other tests use as well. */
const STARTS_WITHIN_MS = 30_000;
/** One service, on free ports. */
const FLAGS = [
  '--only=budgeting',
  '--base-port=0',
  '--registry-port=0',
  '--external-port=0',
  '--page-port=0',
  '--internal-port=0',
];

describe('playground with the gateway and few services', () => {
  let playground: TestPlayground;
  let directory: string;

  beforeAll(async () => {
    // The files of a playground that is killed are all that is left of it, and are not to pile up.
    directory = await mkdtemp(join(tmpdir(), 'killed-playground-'));
    const flags = ['--only=notification,sharing', `--redis=${process.env.TEST_REDIS_URL}`];
    playground = await startPlayground(flags, { TMPDIR: directory, REQUEST_TIMEOUT: '150ms' });
  }, STARTS_WITHIN_MS);

  afterAll(async () => {
    await playground?.stop('SIGKILL');
    await rm(directory, { recursive: true });
  });

  it('keeps its state in a Redis on request', async () => {
    expect((await fetch(`${playground.urls.external}/readyz`)).status).toBe(200);
  });

  it('has just these services, and the gateway knows no others', async () => {
    const { pids, urls } = playground;
    expect(Object.keys(pids)).toEqual(['registry', 'notification.1', 'sharing.1', 'gateway']);
    const status = async (path: string) => (await fetch(`${urls.internal}/internal${path}`)).status;
    // The deadline of this playground is short for a busy machine.
    await eventually('one is reached', async () => (await status('/notification/health')) === 200);
    await eventually('so is the other', async () => (await status('/sharing/health')) === 200);
    expect(await status('/budgeting/health')).toBe(404);
  });

  it('passes the environment on', async () => {
    const answer = await fetch(`${playground.urls.internal}/internal/sharing/slow?ms=60000`);
    expect(answer.status).toBe(504);
  });

  it('leaves no orphans when it is killed', async () => {
    const pids = Object.values(playground.pids);
    expect(pids.filter(isAlive)).toHaveLength(4);
    await playground.stop('SIGKILL');
    await eventually('all children have ended', () => !pids.some(isAlive));
  });
});

describe('playground with the gateway', () => {
  it(
    'stops in order, and removes its files, when it is interrupted while it starts',
    async () => {
      const directory = await mkdtemp(join(tmpdir(), 'stopped-playground-'));
      const { exitCode, stdout } = await interruptPlayground('✔ budgeting.1', FLAGS, {
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
    'reads no .env of somebody, speaks to no Redis of theirs, and says so',
    async () => {
      const directory = await mkdtemp(join(tmpdir(), 'somebody-'));
      await writeFile(
        join(directory, '.env'),
        'REQUEST_TIMEOUT=nonsense\nTLS_CERT_FILE=cert.pem\nREDIS_HOST=mine\n',
      );
      const env = { REDIS_URL: 'redis://127.0.0.1:1' };
      const playground = await startPlayground(FLAGS, env, { cwd: directory });
      expect((await fetch(`${playground.urls.external}/readyz`)).status).toBe(200);
      expect(playground.output()).toContain('The file .env is not read');
      expect(playground.output()).toContain('REDIS_URL of the environment: not used');
      for (const [name, pid] of Object.entries(playground.pids))
        expect([name, await readlink(`/proc/${pid}/cwd`)]).not.toEqual([name, directory]);
      expect(await playground.stop()).toBe(0);
      expect(await readdir(directory)).toEqual(['.env']);
      await rm(directory, { recursive: true });
    },
    STARTS_WITHIN_MS,
  );

  it(
    'listens on loopback alone, whatever the environment says',
    async () => {
      const playground = await startPlayground([...FLAGS, '--no-gateway'], { LISTEN_HOST: '0.0.0.0' });
      const { registry, services } = playground.urls;
      for (const url of [registry, ...services.budgeting]) {
        const elsewhere = new URL(url);
        elsewhere.hostname = '127.0.0.2';
        await expect(fetch(elsewhere)).rejects.toThrow();
      }
      expect(await playground.stop()).toBe(0);
    },
    STARTS_WITHIN_MS,
  );

  it(
    'ends non-zero, and stops the services, when the gateway dies',
    async () => {
      const playground = await startPlayground(FLAGS);
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
      const { exitCode, stdout } = await runPlayground(FLAGS, { REQUEST_TIMEOUT: 'nonsense' });
      expect(exitCode).toBe(1);
      expect(stdout).toMatch(/✘ gateway ended with exit code 1\. Its last lines:\n[^✘]*REQUEST_TIMEOUT/);
    },
    STARTS_WITHIN_MS,
  );
});
