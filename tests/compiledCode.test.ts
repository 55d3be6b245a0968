import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { TEST_SECRET } from './support/gateway.ts';

const ROOT = join(import.meta.dirname, '..');

let installation: string;
beforeEach(() => {
  installation = mkdtempSync(join(tmpdir(), 'compiled-'));
  for (const name of ['gateway', 'lib', 'config', 'package.json']) {
    cpSync(join(ROOT, name), join(installation, name), { recursive: true, verbatimSymlinks: true });
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

/** What of Node itself a gateway has loaded that has listened. */
async function loadedOfNode(): Promise<string[]> {
  const file = join(installation, 'loaded');
  const hook = `import { writeFileSync } from 'node:fs';
    process.on('exit', () => writeFileSync(${JSON.stringify(file)}, process.moduleLoadList.join('\\n')));`;
  const gateway = spawn(
    process.execPath,
    ['--import', `data:text/javascript,${encodeURIComponent(hook)}`, 'gateway/main.ts'],
    {
      cwd: installation,
      env: {
        PATH: process.env.PATH,
        JWT_SECRET: TEST_SECRET,
        EXTERNAL_PORT: '0',
        INTERNAL_PORT: '0',
        DATA_DIR: 'data',
        SERVICES_FILE: 'services.json',
      },
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  const exited = once(gateway, 'exit');
  createInterface({ input: gateway.stdout }).on('line', (line) => {
    if (line.includes('"Gateway listening')) gateway.kill('SIGTERM');
  });
  expect(await exited).toEqual([0, null]);
  return readFileSync(file, 'utf8').split('\n');
}

const STRIPPER = 'NativeModule internal/deps/amaro/dist/index';
const UNDICI = 'NativeModule internal/deps/undici/undici';

test("a start with kept code needs neither what strips types nor Node's undici", async () => {
  const services = [{ name: 'budgeting', path: '/budgeting', upstreams: ['http://127.0.0.1:9'] }];
  writeFileSync(join(installation, 'services.json'), JSON.stringify({ services }));
  expect(await loadedOfNode()).toContain(STRIPPER);
  const loaded = await loadedOfNode();
  expect(loaded).toContain('NativeModule http');
  expect(loaded).not.toContain(STRIPPER);
  expect(loaded).not.toContain(UNDICI);
}, 60_000);

test('where it cannot be kept the gateway starts all the same', () => {
  writeFileSync(join(installation, 'node_modules/.cache'), 'not a directory');
  expect(start()).toContain('EXTERNAL_PORT is "none"');
}, 60_000);
