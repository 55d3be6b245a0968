import { chmodSync, closeSync, existsSync, fchmodSync, openSync, readdirSync, statSync } from 'node:fs';
import { basename, dirname } from 'node:path';

const OWNER_ONLY = 0o600;
const OWNER_ONLY_DIRECTORY = 0o700;
const OTHERS = 0o077;
const OTHERS_WRITE = 0o022;
const ALL_OTHERS = 0o007;
const STICKY = 0o1000;

/**
 * Makes sure that only this process's user can read `file` and its companions (`file-*`), and the directory if it holds
 * nothing else. Creates the file when it is missing, with permissions that do not depend on the umask.
 *
 * @returns warnings about what could not be corrected
 */
export function keepToOwner(file: string): string[] {
  if (!existsSync(file)) create(file);
  const directory = dirname(file);
  const names = readdirSync(directory);
  const isOurs = (name: string) => name === basename(file) || name.startsWith(`${basename(file)}-`);
  const files = names.filter(isOurs).map((name) => tightened(`${directory}/${name}`, OWNER_ONLY));
  const isOwn = names.every(isOurs);
  const closes = isOwn && !isGiven(directory);
  return [...files, closes ? tightened(directory, OWNER_ONLY_DIRECTORY) : exposed(directory)].filter(
    (warning) => warning !== undefined,
  );
}

/**
 * Whether the directory belongs to another user and only its group, this process among them, may enter it. Platforms that
 * assign a user to each container provide directories like that. Its permissions are left alone; those of the files are not.
 */
function isGiven(directory: string): boolean {
  const { uid, mode } = statSync(directory);
  return uid !== process.getuid?.() && (mode & ALL_OTHERS) === 0;
}

function create(file: string): void {
  const descriptor = openSync(file, 'a', OWNER_ONLY);
  // A umask may have removed permissions that the user needs.
  fchmodSync(descriptor, OWNER_ONLY);
  closeSync(descriptor);
}

function tightened(path: string, mode: number): string | undefined {
  const { mode: found } = statSync(path);
  if ((found & OTHERS) === 0) return undefined;
  try {
    chmodSync(path, mode);
    return undefined;
  } catch {
    return `${path} belongs to another user and has the mode ${shown(found)}: others may read who is logged in. Set it to ${shown(mode)}`;
  }
}

/** A warning about a directory whose permissions are left alone, because it holds other files (as `/tmp` does). */
function exposed(directory: string): string | undefined {
  const stats = statSync(directory);
  if (isGiven(directory)) return undefined;
  if ((stats.mode & OTHERS_WRITE) === 0 || (stats.mode & STICKY) !== 0) return undefined;
  return `${directory} has the mode ${shown(stats.mode)}: others may delete or replace the files in it. Name a directory of its own`;
}

function shown(mode: number): string {
  return (mode & 0o777).toString(8).padStart(4, '0');
}
