// Has Node reuse what V8 and the stripping of types made of each module that is loaded from now on. An image brings it
// along; elsewhere it is written when the process ends, for the next start. Where neither can be had, every start
// compiles everything. `NODE_COMPILE_CACHE` names another directory, `NODE_DISABLE_COMPILE_CACHE=1` does without.
// Plain JavaScript, since it decides whether Node has to load what strips types.
import { existsSync, mkdtempSync, rmdirSync, rmSync, symlinkSync } from 'node:fs';
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

if (!existsSync(SHIPPED)) module.enableCompileCache({ directory: KEPT });
else if (module.getCompileCacheDir() === undefined) useShipped();

/**
 * Node looks in a directory that is named after the user id and the features of the CPU, and a build knows neither. So
 * that name becomes a link to what was shipped, in a new directory that no other user may enter. V8 checks what it
 * reads, and compiles what was compiled by another version or with other flags.
 */
function useShipped() {
  const links = WRITABLE.map(newDirectory).find((directory) => directory !== undefined);
  if (links === undefined) return;
  process.once('exit', () => rmSync(links, { recursive: true, force: true }));
  module.enableCompileCache({ directory: links });
  const expected = module.getCompileCacheDir();
  // Compiled code is switched off.
  if (expected === undefined) return;
  rmdirSync(expected);
  symlinkSync(SHIPPED, expected);
}

/** @returns {string | undefined} */
function newDirectory(/** @type {string} */ parent) {
  try {
    return mkdtempSync(join(parent, 'gateway-compiled-'));
  } catch {
    return undefined;
  }
}
