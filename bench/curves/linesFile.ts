import { closeSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Site } from '../servers/site.ts';

const LINES_A_WRITE = 10_000;

/** A file of `count` lines for a load generator. */
export function linesFile(site: Site, name: string, count: number, line: (index: number) => string): string {
  const path = join(site.directory, name);
  const file = openSync(path, 'w');
  for (let first = 0; first < count; first += LINES_A_WRITE) {
    const length = Math.min(LINES_A_WRITE, count - first);
    writeSync(file, Array.from({ length }, (_, i) => `${line(first + i)}\n`).join(''));
  }
  closeSync(file);
  return path;
}
