import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { run } from '../processes/command.ts';

const ROOT = join(import.meta.dirname, '../../..');
/** Within the project, so that the compiler finds the packages. */
const SCRATCH = join(ROOT, 'node_modules/.cache');
const COMPILER = join(ROOT, 'node_modules/.bin/tsc');
/** A patch has only some of the fields that its kind demands. */
const PART = 'type Part<T> = T extends object ? { [Field in keyof T]?: Part<T[Field]> } : T;';

export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  // biome-ignore lint/suspicious/noExplicitAny: its shape is what the schemas check.
  readonly [field: string]: any;
}

/** The schemas of the oldest Kubernetes that docs/kubernetes.md names, or those of the newest there are. */
export const RELEASES = ['oldest', 'newest'] as const;
export type Release = (typeof RELEASES)[number];

export function readManifests(path: string): Manifest[] {
  return manifestsIn(readFileSync(join(ROOT, path), 'utf8'));
}

/** The objects in a stream of YAML documents. Without those that are empty, as Helm writes some. */
export function manifestsIn(text: string): Manifest[] {
  return parseAllDocuments(text)
    .map((document) => document.toJS())
    .filter((object) => object !== null);
}

/** The only one of a kind, or of a kind and a name. */
export function theOne(manifests: readonly Manifest[], kind: string, name?: string): Manifest {
  const found = manifests.filter(
    (manifest) => manifest.kind === kind && (name === undefined || manifest.metadata.name === name),
  );
  const [first] = found;
  if (!first || found.length > 1) throw new Error(`${found.length} of ${kind} ${name ?? ''} instead of one`);
  return first;
}

/** What the Kubernetes schemas say against a manifest: values of the wrong type or missing. Nothing when it is valid. */
export async function invalidities(manifest: Manifest): Promise<string | undefined> {
  const { [manifest.kind]: Model } = await import(newestModel(manifest));
  try {
    new Model(manifest).validate();
    return undefined;
  } catch (error) {
    return Error.isError(error) ? error.message : String(error);
  }
}

/**
 * What the compiler says against manifests written out as literals of the schemas' types: above all fields that there
 * are not, which a cluster would drop in silence. Nothing when they are right. Of the Prometheus operator there is only
 * one release.
 */
export async function misspellings(
  manifests: readonly Manifest[],
  { releases = RELEASES, partial = false }: { releases?: readonly Release[]; partial?: boolean } = {},
): Promise<string> {
  mkdirSync(SCRATCH, { recursive: true });
  const directory = mkdtempSync(join(SCRATCH, 'manifests-'));
  const file = join(directory, 'manifests.ts');
  const literals = releases.flatMap((release) =>
    manifests.map((manifest, index) => literalOf(manifest, `${release}${index}`, release, partial)),
  );
  writeFileSync(file, [PART, ...literals].join('\n'));
  const flags = ['--ignoreConfig', '--noEmit', '--strict', '--skipLibCheck', '--module', 'nodenext'];
  try {
    return await run(COMPILER, [...flags, file]).then(
      () => '',
      (error) => String(error),
    );
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function literalOf(manifest: Manifest, name: string, release: Release, partial: boolean): string {
  const type = partial ? `Part<Kind_${name}>` : `Kind_${name}`;
  const value = JSON.stringify(manifest, null, 2);
  return `${importOf(manifest, `Kind_${name}`, release)}\nexport const ${name}: ${type} = ${value};`;
}

function importOf(manifest: Manifest, as: string, release: Release): string {
  const { apiVersion, kind } = manifest;
  if (release === 'newest' || isOfOperator(manifest))
    return `import type { I${kind} as ${as} } from '${newestModel(manifest)}';`;
  const [group = '', version] = apiVersion.includes('/') ? apiVersion.split('/') : ['core', apiVersion];
  const folder = group.replace(/\..*/, '');
  return `import type { ${kind} as ${as} } from 'kubernetes-types/${folder}/${version}.js';`;
}

function newestModel(manifest: Manifest): string {
  const models = isOfOperator(manifest) ? '@kubernetes-models/prometheus-operator' : 'kubernetes-models';
  return `${models}/${manifest.apiVersion}/${manifest.kind}`;
}

function isOfOperator({ apiVersion }: Manifest): boolean {
  return apiVersion.startsWith('monitoring.coreos.com/');
}
