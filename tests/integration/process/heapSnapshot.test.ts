import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { eventually } from '../../support/eventually.ts';
import { type GatewayRun, runGateway } from '../../support/gateway/gatewayRun.ts';

/** Nobody is asked for anything there. */
const SERVICES = { '/budgeting': ['http://127.0.0.1:9'] };

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'gateway-snapshots-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

async function serving(run: GatewayRun): Promise<boolean> {
  const { internal } = await run.listening();
  return (await fetch(`${internal}/healthz`)).ok;
}

it('SIGURG writes a heap snapshot that only the gateway can read, and the gateway goes on', async () => {
  await using run = runGateway({ services: SERVICES, env: { HEAP_SNAPSHOT_DIR: directory } });
  await run.listening();
  process.kill(run.pid, 'SIGURG');
  await eventually('it says that it is done', () => run.stdout().includes('Heap snapshot in'), 30_000);
  const [name = ''] = readdirSync(directory);
  expect(statSync(join(directory, name)).mode & 0o777).toBe(0o600);
  const snapshot = JSON.parse(readFileSync(join(directory, name), 'utf8'));
  expect(snapshot.snapshot.node_count).toBeGreaterThan(1000);
  expect(await serving(run)).toBe(true);
  expect(run.stdout()).not.toContain('"level":"debug"');
  expect(await run.kill('SIGTERM')).toEqual({ exitCode: 0, signal: null });
}, 60_000);

it.each(['/proc/self', '/nowhere/at/all'])(
  'where it cannot be written, as in %s, the gateway says so',
  async (path) => {
    await using run = runGateway({ services: SERVICES, env: { HEAP_SNAPSHOT_DIR: path } });
    await run.listening();
    process.kill(run.pid, 'SIGURG');
    await eventually('it says why not', () =>
      /"E(ACCES|ROFS|NOENT|PERM)".*No heap snapshot/.test(run.stdout()),
    );
    expect(await serving(run)).toBe(true);
    expect(await run.kill('SIGTERM')).toEqual({ exitCode: 0, signal: null });
  },
  60_000,
);

it('without a directory SIGURG does nothing', async () => {
  mkdirSync(join(directory, 'data'));
  await using run = runGateway({ services: SERVICES, env: { DATA_DIR: join(directory, 'data') } });
  await run.listening();
  process.kill(run.pid, 'SIGURG');
  await eventually('it says so', () => run.stdout().includes('SIGURG ignored: HEAP_SNAPSHOT_DIR is not set'));
  expect(await serving(run)).toBe(true);
}, 60_000);
