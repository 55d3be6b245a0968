import { chmodSync, mkdtempSync, readFileSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type RedisServer, startRedis } from '../stores/redis.ts';

declare global {
  /** The server that globalSetup started, for globalTeardown: Jest runs both in one process. */
  var sharedRedis: RedisServer | undefined;
  /** Where the run keeps its files, and what TMPDIR was before, for globalTeardown. */
  var temporaryFiles: { readonly directory: string; readonly before: string | undefined } | undefined;
}

/** Gateways and services that tests start compile what is compiled already: a third less time for each. */
const COMPILE_CACHE = join(import.meta.dirname, '../../../node_modules/.cache/tests');

/** Where Linux keeps files in memory, and how much must be free there: the container of a CI job may have 64 MiB. */
const IN_MEMORY = '/dev/shm';
const ENOUGH_BYTES = 4 * 2 ** 30;

/**
 * Gives the run a directory of its own in `TMPDIR`, one Redis in `TEST_REDIS_URL`, unless the caller has named one, and
 * in `TEST_LEAKS_FILE` an empty file for what processes of the gateway print that they must not.
 */
export default async function globalSetup(): Promise<void> {
  process.env.NODE_COMPILE_CACHE ??= COMPILE_CACHE;
  // Almost every gateway of a test opens an embedded store, which waits for the disk several times before it serves.
  const directory = makeTemporaryDirectory();
  globalThis.temporaryFiles = { directory, before: process.env.TMPDIR };
  process.env.TMPDIR = directory;
  process.env.TEST_LEAKS_FILE = join(directory, 'leaks');
  writeFileSync(process.env.TEST_LEAKS_FILE, '');
  if (process.env.TEST_REDIS_URL) return;
  globalThis.sharedRedis = await startRedis();
  process.env.TEST_REDIS_URL = globalThis.sharedRedis.url;
}

/** A new directory that, like `/tmp`, every user may use: some tests start processes as another one. */
function makeTemporaryDirectory(): string {
  const directory = mkdtempSync(join(isFit(IN_MEMORY) ? IN_MEMORY : tmpdir(), 'gateway-tests-'));
  chmodSync(directory, 0o1777);
  return directory;
}

/** Whether there is room, and programs that tests write may be run: many engines mount it `noexec`. */
function isFit(directory: string): boolean {
  try {
    const { bavail, bsize } = statfsSync(directory);
    const mounts = readFileSync('/proc/mounts', 'utf8').split('\n');
    const options = mounts.map((line) => line.split(' ')).findLast(([, at]) => at === directory)?.[3];
    return bavail * bsize >= ENOUGH_BYTES && options?.split(',').includes('noexec') === false;
  } catch {
    return false;
  }
}
