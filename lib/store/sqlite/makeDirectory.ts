import { chmodSync, existsSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';

/** Only the process's own user may look into it. */
const MODE = 0o700;

/**
 * Makes the directory and what is missing above it. Not with `recursive: true`: where nothing can be made although
 * the directory above exists, as in /proc, Node 26 then tries for ever.
 */
export function makeDirectory(path: string): void {
  if (existsSync(path)) return;
  const above = dirname(path);
  if (above !== path) makeDirectory(above);
  try {
    mkdirSync(path, { mode: MODE });
    // A umask may have taken from its own user what it needs.
    chmodSync(path, MODE);
  } catch (error) {
    // Another process was faster.
    if (!existsSync(path)) throw error;
  }
}
