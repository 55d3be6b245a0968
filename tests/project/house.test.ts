import { readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { expect, it } from '@jest/globals';

const ROOT = join(import.meta.dirname, '../..');
/** In a room with more, nobody finds anything at a glance. */
const MOST_FILES = 12;

/** Folders below `folder`, itself among them, with the number of files right in each. */
function rooms(folder: string): [name: string, files: number][] {
  const entries = readdirSync(folder, { withFileTypes: true });
  const own = entries.filter((entry) => entry.isFile() && /\.m?[jt]s$/.test(entry.name)).length;
  const below = entries.filter((entry) => entry.isDirectory() && entry.name !== 'node_modules');
  return [[relative(ROOT, folder), own], ...below.flatMap(({ name }) => rooms(join(folder, name)))];
}

// That no file imports in a circle is for biome to say: noImportCycles.
it.each(['bench', 'config', 'gateway', 'lib', 'playground', 'tests'])(
  'no folder of %s has more files than one sees at a glance',
  (folder) => {
    const all = rooms(join(ROOT, folder));
    expect(all.length).toBeGreaterThan(1);
    expect(all.filter(([, files]) => files > MOST_FILES)).toEqual([]);
  },
);
