import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { TEST_SECRET } from '../../support/gateway/gateway.ts';

const ROOT = join(import.meta.dirname, '../../..');

let installation: string;
beforeEach(() => {
  installation = mkdtempSync(join(tmpdir(), 'compiled-'));
  for (const name of ['gateway', 'lib', 'config', 'package.json']) {
    cpSync(join(ROOT, name), join(installation, name), { recursive: true, verbatimSymlinks: true });
  }
  const services = [{ name: 'budgeting', path: '/budgeting', upstreams: ['http://127.0.0.1:9'] }];
  writeFileSync(join(installation, 'gateway.json'), JSON.stringify({ services }));
  mkdirSync(join(installation, 'node_modules'));
  for (const name of readdirSync(join(ROOT, 'node_modules')).filter((entry) => !entry.startsWith('.'))) {
    symlinkSync(join(ROOT, 'node_modules', name), join(installation, 'node_modules', name));
  }
});
afterEach(() => rmSync(installation, { recursive: true }));

/** What a start says that ends at once: its port is none. */
function start(env: Readonly<Record<string, string>> = {}, ...execArgv: string[]): string {
  const { stderr, status } = spawnSync(
    process.execPath,
    [...execArgv, join(installation, 'gateway/main.ts')],
    {
      env: { PATH: process.env.PATH, EXTERNAL_PORT: 'none', ...env },
      encoding: 'utf8',
    },
  );
  expect(status).toBe(1);
  return stderr;
}

/** Flags of Node that have it run this program first. */
const first = (program: string) => ['--import', `data:text/javascript,${encodeURIComponent(program)}`];

test('compiled code is kept beside the code, for the next start', () => {
  const said = start();
  expect(said).toContain('EXTERNAL_PORT is "none"');
  const kept = readdirSync(join(installation, 'node_modules/.cache/gateway'), { recursive: true });
  expect(kept.length).toBeGreaterThan(100);
  expect(start()).toBe(said);
}, 60_000);

test('nobody else can write where it is kept, whatever the umask is', () => {
  start({}, ...first('process.umask(0);'));
  for (const path of ['node_modules/.cache', 'node_modules/.cache/gateway'])
    expect(statSync(join(installation, path)).mode & 0o777).toBe(0o700);
}, 60_000);

interface Started {
  /** What of Node itself it has loaded. */
  readonly loaded: readonly string[];
  /** Where it looked for compiled code. */
  readonly cache: string;
}

/** Starts a gateway, and stops it once it listens; tells of its main thread, or of the worker with this number. */
async function startAndStop({ WORKERS = '1', thread = 0 } = {}): Promise<Started> {
  const file = join(installation, 'loaded-');
  const hook = `import { writeFileSync } from 'node:fs';
    import { getCompileCacheDir } from 'node:module';
    import { threadId } from 'node:worker_threads';
    process.on('exit', () => writeFileSync(${JSON.stringify(file)} + threadId,
      JSON.stringify({ loaded: process.moduleLoadList, cache: getCompileCacheDir() })));`;
  const gateway = spawn(process.execPath, [...first(hook), 'gateway/main.ts'], {
    cwd: installation,
    env: {
      PATH: process.env.PATH,
      JWT_SECRET: TEST_SECRET,
      EXTERNAL_PORT: '0',
      INTERNAL_PORT: '0',
      DATA_DIR: 'data',
      GATEWAY_FILE: 'gateway.json',
      WORKERS,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(gateway, 'exit');
  createInterface({ input: gateway.stdout }).on('line', (line) => {
    if (line.includes('"Gateway listening')) gateway.kill('SIGTERM');
  });
  expect(await exited).toEqual([0, null]);
  return JSON.parse(readFileSync(`${file}${thread}`, 'utf8'));
}

const STRIPPER = 'NativeModule internal/deps/amaro/dist/index';
const UNDICI = 'NativeModule internal/deps/undici/undici';

test("a start with kept code needs neither what strips types nor Node's undici", async () => {
  expect((await startAndStop()).loaded).toContain(STRIPPER);
  const { loaded } = await startAndStop();
  expect(loaded).toContain('NativeModule http');
  expect(loaded).not.toContain(STRIPPER);
  expect(loaded).not.toContain(UNDICI);
}, 60_000);

test.each([0, 1, 2])(
  'so it does in thread %d of a gateway with workers',
  async (thread) => {
    const several = { WORKERS: '2', thread };
    await startAndStop(several);
    const { loaded } = await startAndStop(several);
    expect(loaded.includes(STRIPPER)).toBe(false);
  },
  60_000,
);

test('what npm run compile leaves is for every user, and what finds it goes with the gateway', async () => {
  execFileSync(process.execPath, [join(installation, 'gateway/process/compile.ts')], {
    // Whatever else is set, a .env among it, has no part in it.
    env: { PATH: process.env.PATH, EXTERNAL_PORT: 'none' },
    stdio: 'pipe',
  });
  const compiled = join(installation, 'compiled');
  expect(statSync(compiled).mode & 0o777).toBe(0o755);
  const files = readdirSync(compiled);
  expect(files.length).toBeGreaterThan(500);
  expect(new Set(files.map((name) => statSync(join(compiled, name)).mode & 0o777))).toEqual(new Set([0o644]));
  const { loaded, cache } = await startAndStop();
  expect(loaded).not.toContain(STRIPPER);
  expect(existsSync(dirname(cache))).toBe(false);
  expect(readdirSync(compiled)).toEqual(files);
  expect(readdirSync(installation).filter((name) => name.startsWith('compiling'))).toEqual([]);
  expect(existsSync(join(installation, 'node_modules/.cache'))).toBe(false);
}, 180_000);

describe('with code that was compiled before', () => {
  const SHARED = '/dev/shm';
  let made: string[];
  beforeEach(() => {
    mkdirSync(join(installation, 'compiled'));
    made = [];
  });
  afterEach(() => {
    for (const directory of made) rmSync(directory, { recursive: true, force: true });
  });

  /** As a gateway of that process id leaves it behind when it is killed. */
  function leftBehind(pid: number): string {
    const directory = mkdtempSync(join(SHARED, `gateway-compiled-${pid}-`));
    made.push(directory);
    symlinkSync(join(installation, 'compiled'), join(directory, 'link'));
    return directory;
  }

  const deadPid = () => spawnSync(process.execPath, ['--version']).pid;

  test('a start leaves nothing where it could have put the links', () => {
    const TMPDIR = join(installation, 'tmp');
    mkdirSync(TMPDIR);
    start({ TMPDIR });
    expect(readdirSync(TMPDIR)).toEqual([]);
  }, 60_000);

  test('what a gateway left that was killed goes with the next start', () => {
    const file = join(installation, 'cache');
    const killItself = `import { writeFileSync } from 'node:fs';
      import { getCompileCacheDir } from 'node:module';
      process.on('exit', () => {
        writeFileSync(${JSON.stringify(file)}, getCompileCacheDir());
        process.kill(process.pid, 'SIGKILL');
      });`;
    const main = join(installation, 'gateway/main.ts');
    const env = { PATH: process.env.PATH, EXTERNAL_PORT: 'none' };
    expect(spawnSync(process.execPath, [...first(killItself), main], { env }).signal).toBe('SIGKILL');
    const links = dirname(readFileSync(file, 'utf8'));
    made.push(links);
    expect(dirname(links)).toBe(SHARED);
    start();
    expect(existsSync(links)).toBe(false);
  }, 60_000);

  test('what belongs to a gateway that runs stays', () => {
    const running = leftBehind(process.pid);
    const dead = leftBehind(deadPid());
    start();
    expect([running, dead].map((path) => existsSync(path))).toEqual([true, false]);
    // What was found through the links is not theirs.
    expect(existsSync(join(installation, 'compiled'))).toBe(true);
  }, 60_000);

  // Only root can give a directory to somebody else.
  (process.getuid?.() === 0 ? test : test.skip)(
    "what is another user's stays",
    () => {
      const others = leftBehind(deadPid());
      chownSync(others, 12_345, 12_345);
      start();
      expect(existsSync(others)).toBe(true);
    },
    60_000,
  );

  test('where there can be no links the gateway starts all the same', () => {
    const noLinks = `import fs from 'node:fs';
      import { syncBuiltinESMExports } from 'node:module';
      fs.symlinkSync = () => { throw new Error('EPERM'); };
      syncBuiltinESMExports();`;
    expect(start({}, ...first(noLinks))).toContain('EXTERNAL_PORT is "none"');
  }, 60_000);
});

test('where it cannot be kept the gateway starts all the same', () => {
  writeFileSync(join(installation, 'node_modules/.cache'), 'not a directory');
  expect(start()).toContain('EXTERNAL_PORT is "none"');
}, 60_000);
