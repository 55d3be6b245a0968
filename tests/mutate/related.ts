import { existsSync, globSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { filesOf } from '../tiers.ts';

/** Paths in what follows are relative to the project. */
export const ROOT = join(import.meta.dirname, '../..');

/** The TypeScript files that a path of source stands for. Empty when there are none. */
export function sourcesAt(path: string): string[] {
  const full = join(ROOT, path);
  if (!existsSync(full)) return [];
  if (statSync(full).isFile()) return [path];
  return globSync('**/*.ts', { cwd: full })
    .map((file) => join(path, file))
    .sort();
}

/** The folder of tests that mirrors a path of source, or the nearest one above it that there is. */
export function mirrorOf(path: string): string {
  for (let folder = path; folder !== '.'; folder = dirname(folder)) {
    if (existsSync(join(ROOT, 'tests', folder))) return join('tests', folder);
  }
  return 'tests';
}

/** The test files of `npm run test:all` below these folders. */
export function testsIn(folders: readonly string[]): string[] {
  const within = (file: string) => folders.some((folder) => file === folder || file.startsWith(`${folder}/`));
  return [...filesOf('unit'), ...filesOf('whole')].map((file) => join('tests', file)).filter(within);
}

/** Which files each file reaches by imports, directly or through others. */
export class Imports {
  readonly #direct = new Map<string, readonly string[]>();
  readonly #reached = new Map<string, ReadonlySet<string>>();

  reachedBy(file: string): ReadonlySet<string> {
    const known = this.#reached.get(file);
    if (known) return known;
    const reached = new Set([file]);
    for (const each of reached) for (const next of this.#importedBy(each)) reached.add(next);
    this.#reached.set(file, reached);
    return reached;
  }

  #importedBy(file: string): readonly string[] {
    const known = this.#direct.get(file);
    if (known) return known;
    const text = readFileSync(join(ROOT, file), 'utf8');
    const imported = [...text.matchAll(/^(?:import|export|\})[^'"\n]*from ['"](\.[^'"]+)['"]/gm)]
      .map(([, specifier]) => normalize(join(dirname(file), specifier as string)))
      .filter((path) => existsSync(join(ROOT, path)));
    this.#direct.set(file, imported);
    return imported;
  }
}
