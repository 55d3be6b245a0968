import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';

const ROOT = join(import.meta.dirname, '..');

let installation: string;
beforeEach(() => {
  installation = mkdtempSync(join(tmpdir(), 'compiled-'));
  for (const name of ['gateway', 'lib', 'config', 'package.json']) {
    cpSync(join(ROOT, name), join(installation, name), { recursive: true });
  }
  mkdirSync(join(installation, 'node_modules'));
  for (const name of readdirSync(join(ROOT, 'node_modules')).filter((entry) => !entry.startsWith('.'))) {
    symlinkSync(join(ROOT, 'node_modules', name), join(installation, 'node_modules', name));
  }
});
afterEach(() => rmSync(installation, { recursive: true }));

/** What a start says that ends at once: its port is none. */
function start(): string {
  const { stderr, status } = spawnSync(process.execPath, [join(installation, 'gateway/main.ts')], {
    env: { PATH: process.env.PATH, EXTERNAL_PORT: 'none' },
    encoding: 'utf8',
  });
  expect(status).toBe(1);
  return stderr;
}

test('compiled code is kept beside the code, for the next start', () => {
  const said = start();
  expect(said).toContain('EXTERNAL_PORT is "none"');
  const kept = readdirSync(join(installation, 'node_modules/.cache/gateway'), { recursive: true });
  expect(kept.length).toBeGreaterThan(100);
  expect(start()).toBe(said);
}, 60_000);

test('where it cannot be kept the gateway starts all the same', () => {
  writeFileSync(join(installation, 'node_modules/.cache'), 'not a directory');
  expect(start()).toContain('EXTERNAL_PORT is "none"');
}, 60_000);
