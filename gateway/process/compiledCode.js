// Has Node reuse what V8 and the stripping of types made of each module that is loaded from now on. An image brings it
// along; elsewhere it is written when the process ends, for the next start. Where neither can be had, every start
// compiles everything. `NODE_COMPILE_CACHE` names another directory, `NODE_DISABLE_COMPILE_CACHE=1` does without.
// Plain JavaScript, since it decides whether Node has to load what strips types.
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmdirSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import module from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Compiled when the image was built. Nothing but an image has it, and there it belongs to root. */
const SHIPPED = fileURLToPath(new URL('../../compiled', import.meta.url));

/** Whoever may write there may change the code as well; a directory for all, such as /tmp, is no place for code. */
const KEPT = fileURLToPath(new URL('../../node_modules/.cache/gateway', import.meta.url));

/** Where a process can write on a read-only root file system: every engine gives a container the first. */
const WRITABLE = ['/dev/shm', tmpdir()];

/** What the name of a directory with links begins with; the id of the process that made it follows. */
const LINKS = 'gateway-compiled-';

if (module.getCompileCacheDir() === undefined) {
  if (existsSync(SHIPPED)) useShipped();
  else keep();
}

function keep() {
  try {
    // Whatever the umask is: what is written there will run.
    mkdirSync(KEPT, { recursive: true, mode: 0o700 });
  } catch {
    return;
  }
  const { status } = module.enableCompileCache({ directory: KEPT });
  // Worker threads know of the directory by the variable alone.
  if (status === module.constants.compileCacheStatus.ENABLED) process.env.NODE_COMPILE_CACHE = KEPT;
}

/**
 * Node looks in a directory that is named after the user id and the features of the CPU, and a build knows neither. So
 * that name becomes a link to what was shipped, in a new directory that no other user may enter. V8 checks what it
 * reads, and compiles what was compiled by another version or with other flags.
 */
function useShipped() {
  const links = newDirectory();
  if (links === undefined) return;
  process.once('exit', () => rmSync(links, { recursive: true, force: true }));
  module.enableCompileCache({ directory: links });
  const expected = module.getCompileCacheDir();
  // Compiled code is switched off.
  if (expected === undefined) return;
  try {
    rmdirSync(expected);
    symlinkSync(SHIPPED, expected);
  } catch {
    // Not every file system has links, or room for one more.
  }
}

/** In the first place that takes one. */
function newDirectory() {
  for (const parent of WRITABLE) {
    try {
      removeLeftBehind(parent);
      return mkdtempSync(join(parent, `${LINKS}${process.pid}-`));
    } catch {
      // The next place may do.
    }
  }
  return undefined;
}

/**
 * A gateway that was killed could not remove its directory; the next one of the same user does. What belongs to another
 * user is not touched: it could be swapped for a link to something else meanwhile. A gateway that is in another
 * container of the pod looks dead from here; what it has yet to load it then compiles itself.
 */
function removeLeftBehind(/** @type {string} */ parent) {
  for (const name of readdirSync(parent)) {
    if (!name.startsWith(LINKS) || isRunning(Number.parseInt(name.slice(LINKS.length), 10))) continue;
    const directory = join(parent, name);
    const owner = lstatSync(directory, { throwIfNoEntry: false })?.uid;
    if (owner === process.getuid?.()) rmSync(directory, { recursive: true, force: true });
  }
}

/** Whether another process has this id. A container's first process is always 1, and so was the one before it. */
function isRunning(/** @type {number} */ pid) {
  if (pid === process.pid) return false;
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return /** @type {NodeJS.ErrnoException} */ (error).code === 'EPERM';
  }
}
