import { existsSync, globSync, readFileSync } from 'node:fs';
import { createRequire, isBuiltin } from 'node:module';
import { join, relative, resolve as resolvePath } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

/**
 * Follows every import from the gateway's sources through its packages, by Node's own rules:
 * `node --experimental-import-meta-resolve imports.ts <directory of the gateway>`. Prints as JSON how many modules it has
 * read, and what does not resolve: comments name modules, too. Who asks for a package that is not installed can do
 * without: npm has installed all others.
 */
const MODULE = /\.[cm]?[jt]s$/;
/** Also `createRequire(import.meta.url)('yaml')`. */
const REQUIRED = /\b(?:require|createRequire\([^)]*\))\(\s*['"]([^'"\n]+)['"]\s*\)/g;
const IMPORTED = /(?:\bfrom\s*|\bimport\s*\(?\s*)['"]([^'"\n]+)['"]/g;

const TYPES = /\.d\.[cm]?ts$/;

const gateway = resolvePath(process.argv[2] ?? '');
const { packages } = JSON.parse(readFileSync(join(gateway, 'node_modules/.package-lock.json'), 'utf8'));
const installed = new Set(Object.keys(packages).map((path) => path.split('node_modules/').at(-1)));
const read = new Set<string>();
const unresolved: string[] = [];

const waiting = globSync(join(gateway, '{config,gateway,lib}/**/*.{ts,js}'));
for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
  if (read.has(file) || !MODULE.test(file)) continue;
  read.add(file);
  waiting.push(...importedBy(file));
}
process.stdout.write(JSON.stringify({ read: read.size, unresolved }));

/** The files that a module imports. */
function importedBy(file: string): string[] {
  const text = readFileSync(file, 'utf8');
  const { resolve } = createRequire(file);
  const url = pathToFileURL(file).href;
  return [
    ...found(file, text, REQUIRED, (specifier) => resolve(specifier)),
    ...found(file, text, IMPORTED, (specifier) => fileURLToPath(import.meta.resolve(specifier, url))),
  ];
}

function found(file: string, text: string, kind: RegExp, resolve: (specifier: string) => string): string[] {
  return Array.from(text.matchAll(kind), ([, specifier = '']) => specifier)
    .filter((specifier) => !isBuiltin(specifier) && !TYPES.test(specifier))
    .flatMap((specifier) => {
      const path = pathOf(() => resolve(specifier));
      if (path !== undefined) return [path];
      if (mustResolve(specifier)) unresolved.push(`${relative(gateway, file)}: ${specifier}`);
      return [];
    });
}

function pathOf(resolve: () => string): string | undefined {
  try {
    const path = resolve();
    return existsSync(path) ? path : undefined;
  } catch {
    return undefined;
  }
}

function mustResolve(specifier: string): boolean {
  const name = specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/');
  return /^[./#]/.test(specifier) || installed.has(name);
}
