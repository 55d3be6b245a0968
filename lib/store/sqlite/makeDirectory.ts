import { chmodSync, existsSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';

/** Only this process's user has access. */
const MODE = 0o700;

/**
 * Makes the directory and its missing parents. It does not use `recursive: true`: where no directory can be made although the
 * parent exists, as in /proc, Node 26 then tries for ever.
 */
export function makeDirectory(path: string): void {
  if (existsSync(path)) return;
  const above = dirname(path);
  if (above !== path) makeDirectory(above);
  try {
    mkdirSync(path, { mode: MODE });
    // A umask may have removed permissions that the user needs.
    chmodSync(path, MODE);
  } catch (error) {
    // Another process may have made it meanwhile.
    if (!existsSync(path)) throw error;
  }
}
