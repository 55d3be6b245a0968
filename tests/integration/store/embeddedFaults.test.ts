import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { eventually } from '../../support/eventually.ts';
import { bearer, tokenFor } from '../../support/gateway/gateway.ts';
import { type GatewayProcess, type Port, startGatewayProcess } from '../../support/gateway/gatewayProcess.ts';
import { startUpstream, type Upstream } from '../../support/upstreams/upstream.ts';

// Real processes on a machine that may be busy.
jest.setTimeout(60_000);

let parent: string;
let dataDir: string;
let upstream: Upstream;
beforeEach(async () => {
  parent = mkdtempSync(join(tmpdir(), 'gateway-embedded-faults-'));
  dataDir = join(parent, 'data');
  upstream = await startUpstream();
});
afterEach(async () => {
  await upstream[Symbol.asyncDispose]();
  rmSync(parent, { recursive: true });
});

const start = () =>
  startGatewayProcess({
    services: { '/budgeting': [upstream], '/userManagement': [upstream] },
    env: { DATA_DIR: dataDir },
  });
const use = async ({ external }: GatewayProcess, token: string) =>
  (await fetch(`${external}/budgeting/x`, { headers: bearer(token) })).status;
const logout = async ({ external }: GatewayProcess, token: string) =>
  (await fetch(`${external}/userManagement/auth/logout`, { method: 'POST', headers: bearer(token) })).status;
async function readyz(gateway: GatewayProcess, port: Port = 'external') {
  const answer = await fetch(`${gateway[port]}/readyz`);
  return { http: answer.status, ...((await answer.json()) as object) };
}

describe('a gateway with the embedded store', () => {
  it('whose files are deleted refuses logouts and says so, and still knows who has logged out', async () => {
    const [left, leaving, staying] = [tokenFor('ann'), tokenFor('bob'), tokenFor('carol')];
    await using gateway = await start();
    expect(await logout(gateway, left)).toBe(200);
    expect(await readyz(gateway)).toEqual({ http: 200, status: 'ready', missing: [] });
    for (const name of readdirSync(dataDir)) unlinkSync(join(dataDir, name));
    expect(await logout(gateway, leaving)).toBe(503);
    await eventually('readiness says so', async () => (await readyz(gateway)).http === 503);
    expect(await readyz(gateway)).toEqual({
      http: 503,
      status: 'not ready',
      missing: ['store'],
      reasons: { store: 'SQLite: tokens.db was deleted while it is open' },
    });
    expect(await readyz(gateway, 'internal')).toEqual({
      http: 200,
      status: 'ready',
      missing: [],
      degraded: { store: 'SQLite: tokens.db was deleted while it is open' },
    });
    expect([await use(gateway, left), await use(gateway, staying)]).toEqual([401, 200]);
  });

  it('whose disk is full refuses logouts and says so, until there is room', async () => {
    mkdirSync(dataDir);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=600k', 'tmpfs', dataDir]);
    try {
      await using gateway = await start();
      const filler = join(dataDir, 'filler');
      expect(() => writeFileSync(filler, Buffer.alloc(2 ** 20))).toThrow('ENOSPC');
      const leaving = tokenFor('ann');
      // What the log of the database has room for already is still kept.
      await eventually(
        'a logout is refused',
        async () => (await logout(gateway, tokenFor(`${Math.random()}`))) === 503,
      );
      await eventually('readiness says so', async () => (await readyz(gateway)).http === 503);
      expect(await readyz(gateway)).toMatchObject({
        missing: ['store'],
        reasons: { store: 'SQLite: database or disk is full' },
      });
      expect(await readyz(gateway, 'internal')).toMatchObject({ http: 200, missing: [] });
      expect(await use(gateway, leaving)).toBe(200);
      unlinkSync(filler);
      await eventually('it is ready', async () => (await readyz(gateway)).http === 200);
      expect(await logout(gateway, leaving)).toBe(200);
      expect(await use(gateway, leaving)).toBe(401);
    } finally {
      execFileSync('umount', [dataDir]);
    }
  });
});
