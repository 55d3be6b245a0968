import { fileURLToPath } from 'node:url';

/** A file or folder of bench/. */
export function modulePath(name: string): string {
  return fileURLToPath(new URL(`../${name}`, import.meta.url));
}
