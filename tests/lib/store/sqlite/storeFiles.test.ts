import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { openEmbeddedStore } from '../../../../lib/store/embedded.ts';
import { type Stores, StoreUnavailableError } from '../../../../lib/store/store.ts';
import { ManualClock } from '../../../support/manualClock.ts';

// Real processes on a machine that may be busy.
jest.setTimeout(30_000);
const MINUTE_MS = 60_000;
const FILES = ['tokens.db', 'tokens.db-shm', 'tokens.db-wal'];

let parent: string;
let dataDir: string;
let opened: Stores[];
beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), 'gateway-files-'));
  dataDir = join(parent, 'data');
  opened = [];
});
afterEach(async () => {
  for (const stores of opened) await stores.close();
  rmSync(parent, { recursive: true });
});

function open(options: Partial<Parameters<typeof openEmbeddedStore>[0]> = {}): Stores {
  const stores = openEmbeddedStore({ dataDir, ...options });
  opened.push(stores);
  return stores;
}
const modeOf = (path: string) => statSync(path).mode & 0o777;
const modes = () => FILES.map((name) => modeOf(join(dataDir, name)));
const revoke = (stores: Stores) => stores.tokens.set('blacklist:x', '1', MINUTE_MS);

describe('the files of the embedded store', () => {
  it.each([0o000, 0o077, 0o777])('are for their owner only, whatever the umask: %p', async (umask) => {
    const before = process.umask(umask);
    try {
      await revoke(open());
    } finally {
      process.umask(before);
    }
    expect(modes()).toEqual([0o600, 0o600, 0o600]);
    expect(modeOf(dataDir)).toBe(0o700);
  });

  it('are tightened when others can read them, and so is a directory of their own', async () => {
    await revoke(open());
    for (const name of FILES) chmodSync(join(dataDir, name), 0o644);
    chmodSync(dataDir, 0o755);
    await revoke(open());
    expect(modes()).toEqual([0o600, 0o600, 0o600]);
    expect(modeOf(dataDir)).toBe(0o700);
  });

  it('leave a directory alone that holds something else, and say so when others may write to it', async () => {
    mkdirSync(dataDir);
    writeFileSync(join(dataDir, 'of somebody else'), '');
    const warnings: string[] = [];
    for (const mode of [0o755, 0o1777, 0o777]) {
      chmodSync(dataDir, mode);
      open({ onWarning: (message) => void warnings.push(message) });
      expect(modeOf(dataDir)).toBe(mode & 0o777);
    }
    expect(warnings).toEqual([
      `${dataDir} has the mode 0777: others may delete or replace the files in it. Name a directory of its own`,
    ]);
    expect(modes()).toEqual([0o600, 0o600, 0o600]);
  });

  it('leave a directory to its owner that was given to their group alone, and stay closed themselves', async () => {
    mkdirSync(dataDir);
    chmodSync(dataDir, 0o770);
    chownSync(dataDir, 1000, process.getgid?.() ?? 0);
    const warnings: string[] = [];
    await revoke(open({ onWarning: (message) => void warnings.push(message) }));
    expect(warnings).toEqual([]);
    expect(modeOf(dataDir)).toBe(0o770);
    expect(modes()).toEqual([0o600, 0o600, 0o600]);
  });

  it('hold no token', async () => {
    const { tokens } = open();
    const token = 'header.payload.a-signature-that-opens-doors';
    await tokens.set(`token:${token}`, 'its data', MINUTE_MS);
    expect(String(await tokens.get(`token:${token}`))).toBe('its data');
    for (const name of readdirSync(dataDir)) {
      expect(readFileSync(join(dataDir, name)).includes('opens-doors')).toBe(false);
    }
    await tokens.delete(`token:${token}`);
    expect(await tokens.get(`token:${token}`)).toBeUndefined();
  });
});

describe('a file that is gone while it is open', () => {
  const path = (name = 'tokens.db') => join(dataDir, name);

  it.each([
    ['deleted', () => unlinkSync(path()), 'SQLite: tokens.db was deleted while it is open'],
    [
      'deleted with all of its kin',
      () => void FILES.map((name) => unlinkSync(path(name))),
      'SQLite: tokens.db was deleted while it is open',
    ],
    [
      'replaced by a copy of itself',
      () => {
        copyFileSync(path(), path('copy'));
        renameSync(path('copy'), path());
      },
      'SQLite: tokens.db was replaced while it is open',
    ],
    [
      'without its log',
      () => unlinkSync(path('tokens.db-wal')),
      'SQLite: tokens.db-wal was deleted while it is open',
    ],
  ])('%s: nothing is said to be kept any more', async (_name, lose, reason) => {
    const clock = new ManualClock();
    const stores = open({ clock });
    await stores.tokens.set('blacklist:before', '1', MINUTE_MS);
    expect(await stores.trouble()).toBeUndefined();
    lose();
    await expect(revoke(stores)).rejects.toBeInstanceOf(StoreUnavailableError);
    await expect(revoke(stores)).rejects.toThrow(reason);
    clock.advance(1_000);
    expect(await stores.trouble()).toBe(reason);
    // What was known is known still: nobody is let in.
    expect(String(await stores.tokens.get('blacklist:before'))).toBe('1');
  });

  it('and is put back: writes are kept again', async () => {
    const clock = new ManualClock();
    const stores = open({ clock });
    renameSync(path(), path('away'));
    await expect(revoke(stores)).rejects.toBeInstanceOf(StoreUnavailableError);
    renameSync(path('away'), path());
    clock.advance(1_000);
    expect(await stores.trouble()).toBeUndefined();
    await revoke(stores);
  });
});

describe('a full disk', () => {
  beforeEach(() => {
    mkdirSync(dataDir);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=400k', 'tmpfs', dataDir]);
  });
  afterEach(async () => {
    for (const stores of opened.splice(0)) await stores.close();
    execFileSync('umount', [dataDir]);
  });
  const fill = () => {
    for (const size of [65_536, 4_096]) {
      try {
        for (let n = 0; ; n += 1) writeFileSync(join(dataDir, `filler-${size}-${n}`), Buffer.alloc(size));
      } catch {
        // Full.
      }
    }
  };
  const empty = () => {
    for (const name of readdirSync(dataDir)) {
      if (name.startsWith('filler')) unlinkSync(join(dataDir, name));
    }
  };

  it('is said by readiness, refuses writes, and is over by itself when there is room', async () => {
    const clock = new ManualClock();
    const stores = open({ clock });
    await stores.tokens.set('blacklist:before', '1', MINUTE_MS);
    fill();
    await expect(stores.tokens.set('blacklist:x', Buffer.alloc(100_000), MINUTE_MS)).rejects.toThrow(
      'SQLite: database or disk is full',
    );
    clock.advance(1_000);
    expect(await stores.trouble()).toBe('SQLite: database or disk is full');
    expect(String(await stores.tokens.get('blacklist:before'))).toBe('1');
    empty();
    expect(await stores.trouble()).toBeUndefined();
    await revoke(stores);
    expect(String(await stores.tokens.get('blacklist:x'))).toBe('1');
  });

  it('at the start is named, with what to do', () => {
    fill();
    expect(() => open()).toThrow(/^Cannot keep tokens\.db in .*data \(.*full.*\)\. Make room on its disk/);
  });
});

it('a file that is no database is named, with what it costs to move it away', () => {
  mkdirSync(dataDir);
  writeFileSync(
    join(dataDir, 'tokens.db'),
    'this is not a database, and long enough to be recognised as such',
  );
  expect(() => open()).toThrow(
    /\(file is not a database\)\. Restore the file from a backup, or move it away: whoever has logged out/,
  );
});
