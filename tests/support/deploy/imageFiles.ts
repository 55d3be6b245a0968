import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, matchesGlob, relative } from 'node:path';
import { run } from '../processes/command.ts';

const SPECIFIER = /(?:\brequire\(|\bfrom\s|\bimport\s|\bimport\()\s*['"](\.{1,2}\/[^'"\s]*)['"]/g;
const SUFFIXES = ['', '.js', '.cjs', '.mjs', '.json', '/index.js', '/index.cjs', '/index.mjs'];
const TYPES = /\.[cm]?ts$/;
const NOT_FOR_NODE = /\/browser\/|\.md$/;
/** Conditions under which Node is never asked for an entry. */
const CONDITIONS_OF_OTHERS = ['browser', 'react-native', 'types'];
const IMPORTS = join(import.meta.dirname, '../programs/imports.ts');
/** A layer is a tar archive. */
const BLOCK_BYTES = 512;

/** The paths of all files below a directory, links among them, from there on. */
export function filesIn(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => relative(directory, join(entry.parentPath, entry.name)));
}

/** What a directory takes in a layer: the content of each file in whole blocks, and one for the name. */
export function layerBytesOf(directory: string): number {
  const blocks = filesIn(directory)
    .map((path) => sizeOf(join(directory, path)) ?? 0)
    .map((bytes) => 1 + Math.ceil(bytes / BLOCK_BYTES));
  return BLOCK_BYTES * blocks.reduce((sum, count) => sum + count, 0);
}

export interface Imports {
  /** How many modules the gateway can come to load. */
  readonly read: number;
  /** Each as `module: what it imports`. */
  readonly unresolved: readonly string[];
}

/** What the gateway's sources import, and what that imports, by Node's own rules. */
export async function importsIn(gateway: string): Promise<Imports> {
  const args = ['--experimental-import-meta-resolve', IMPORTS, gateway];
  return JSON.parse(String((await run(process.execPath, args)).stdout));
}

/** Of a Dockerfile's text: which files of packages it removes by their paths, as globs. */
export function removedPaths(dockerfile: string): string[] {
  return Array.from(dockerfile.matchAll(/-path '\*\/([^']+)'/g), ([, pattern = '']) => `**/${pattern}`);
}

/** What packages in `pruned` name that the same packages have in `whole`, and not there, unless it was `removed`. */
export function missingFrom(pruned: string, whole: string, removed: readonly string[]): string[] {
  const files = filesIn(pruned);
  const named = [
    ...files.filter((path) => /\.[cm]?js$/.test(path)).flatMap((path) => importsOf(pruned, path)),
    ...files.filter((path) => path.endsWith('/package.json')).flatMap((path) => entriesOf(pruned, path)),
  ];
  const found = (directory: string, path: string) =>
    SUFFIXES.some((suffix) => sizeOf(join(directory, `${path}${suffix}`)) !== undefined);
  const isRemoved = (path: string) => removed.some((pattern) => matchesGlob(path, pattern));
  return [...new Set(named)].filter((path) => found(whole, path) && !found(pruned, path) && !isRemoved(path));
}

/** Relative imports of a module. */
function importsOf(directory: string, path: string): string[] {
  const text = readFileSync(join(directory, path), 'utf8');
  return Array.from(text.matchAll(SPECIFIER), ([, specifier = '']) => specifier)
    .filter((specifier) => !TYPES.test(specifier))
    .map((specifier) => join(dirname(path), specifier));
}

/** What Node can be asked to import of a package. */
function entriesOf(directory: string, path: string): string[] {
  const { main = './index.js', exports = {} } = JSON.parse(readFileSync(join(directory, path), 'utf8'));
  return [...leaves(main), ...leaves(exports)]
    .filter((entry) => ![TYPES, NOT_FOR_NODE].some((pattern) => pattern.test(entry)) && !entry.includes('*'))
    .map((entry) => join(dirname(path), entry));
}

function leaves(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  if (typeof value !== 'object' || value === null) return [];
  const entries = Object.entries(value).filter(([condition]) => !CONDITIONS_OF_OTHERS.includes(condition));
  return entries.flatMap(([, entry]) => leaves(entry));
}

/** Of a file; undefined when there is none. */
function sizeOf(path: string): number | undefined {
  if (!existsSync(path)) return undefined;
  const stats = statSync(path);
  return stats.isFile() ? stats.size : undefined;
}
