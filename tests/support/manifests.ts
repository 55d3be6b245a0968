import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { run } from './command.ts';

const ROOT = join(import.meta.dirname, '../..');
/** Within the project, so that the compiler finds the packages. */
const SCRATCH = join(ROOT, 'node_modules/.cache');
const COMPILER = join(ROOT, 'node_modules/.bin/tsc');

export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string };
  // biome-ignore lint/suspicious/noExplicitAny: its shape is what the schemas check.
  readonly [field: string]: any;
}

export function readManifests(path: string): Manifest[] {
  return parseAllDocuments(readFileSync(join(ROOT, path), 'utf8')).map((document) => document.toJS());
}

/** What the Kubernetes schemas say against a manifest: values of the wrong type or missing. Nothing when it is valid. */
export async function invalidities(manifest: Manifest): Promise<string | undefined> {
  const { [manifest.kind]: Model } = await import(modelOf(manifest));
  try {
    new Model(manifest).validate();
    return undefined;
  } catch (error) {
    return Error.isError(error) ? error.message : String(error);
  }
}

/**
 * What the compiler says against manifests written out as literals of the schemas' types: above all fields that there
 * are not, which a cluster would drop in silence. Nothing when they are right.
 */
export async function misspellings(manifests: readonly Manifest[]): Promise<string> {
  mkdirSync(SCRATCH, { recursive: true });
  const directory = mkdtempSync(join(SCRATCH, 'manifests-'));
  const file = join(directory, 'manifests.ts');
  const literals = manifests.map((manifest, index) => {
    const type = `import type { I${manifest.kind} as Kind${index} } from '${modelOf(manifest)}';`;
    return `${type}\nexport const manifest${index}: Kind${index} = ${JSON.stringify(manifest, null, 2)};`;
  });
  writeFileSync(file, literals.join('\n'));
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

function modelOf({ apiVersion, kind }: Manifest): string {
  const isOfOperator = apiVersion.startsWith('monitoring.coreos.com/');
  return `${isOfOperator ? '@kubernetes-models/prometheus-operator' : 'kubernetes-models'}/${apiVersion}/${kind}`;
}
