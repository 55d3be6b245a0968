import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

const SPECIFIER = /(?:\brequire\(|\bfrom\s|\bimport\s|\bimport\()\s*['"](\.{1,2}\/[^'"\s]*)['"]/g;
const SUFFIXES = ['', '.js', '.cjs', '.mjs', '.json', '/index.js', '/index.cjs', '/index.mjs'];
const TYPES = /\.[cm]?ts$/;
const NOT_FOR_NODE = /\/(browser|react-native)\/|\.md$/;
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

/** What packages in `pruned` name that the same packages have in `whole`, and not there. */
export function missingFrom(pruned: string, whole: string): string[] {
  const files = filesIn(pruned);
  const named = [
    ...files.filter((path) => /\.[cm]?js$/.test(path)).flatMap((path) => importsOf(pruned, path)),
    ...files.filter((path) => path.endsWith('/package.json')).flatMap((path) => entriesOf(pruned, path)),
  ];
  const found = (directory: string, path: string) =>
    SUFFIXES.some((suffix) => sizeOf(join(directory, `${path}${suffix}`)) !== undefined);
  return [...new Set(named)].filter((path) => found(whole, path) && !found(pruned, path));
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
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(leaves) : [];
}

/** Of a file; undefined when there is none. */
function sizeOf(path: string): number | undefined {
  if (!existsSync(path)) return undefined;
  const stats = statSync(path);
  return stats.isFile() ? stats.size : undefined;
}
