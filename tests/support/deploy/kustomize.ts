import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { pathOf, run } from '../processes/command.ts';
import { type Manifest, manifestsIn } from './manifests.ts';

const ROOT = join(import.meta.dirname, '../../..');

/** Where the objects are, by its path within the project. */
export const KUBERNETES = 'deploy/kubernetes';
export const OVERLAYS = ['dev', 'prod'] as const;
export type Overlay = (typeof OVERLAYS)[number];

/** What builds overlays on this machine, if anything does. */
export const KUSTOMIZE = pathOf('kubectl') ? ['kubectl', 'kustomize'] : commandAlone();

export interface Kustomization {
  readonly namespace?: string;
  readonly resources: readonly string[];
  readonly patches?: readonly { readonly path: string; readonly target?: object }[];
  readonly configMapGenerator?: readonly { readonly name: string; readonly envs: readonly string[] }[];
  readonly images?: readonly { readonly name: string; readonly newName?: string; readonly newTag: string }[];
}

export function readKustomization(folder: string): Kustomization {
  return parse(readFileSync(join(ROOT, KUBERNETES, folder, 'kustomization.yaml'), 'utf8'));
}

/** The files of a folder, by their paths within it. */
export function filesIn(folder: string): string[] {
  return readdirSync(join(ROOT, KUBERNETES, folder)).filter((name) => name !== 'kustomization.yaml');
}

/** The settings that an overlay's pods get from their ConfigMap: those of the base, and its own over them. */
export function settingsOf(overlay: Overlay): Record<string, string> {
  return Object.fromEntries(['base', `overlays/${overlay}`].flatMap(entriesIn));
}

/** The objects that an overlay amounts to. `root` is where the folder of the project's objects is, or a copy of it. */
export async function built(overlay: Overlay, root = join(ROOT, KUBERNETES)): Promise<Manifest[]> {
  const [command = '', ...args] = KUSTOMIZE ?? [];
  const { stdout } = await run(command, [...args, join(root, 'overlays', overlay)]);
  return manifestsIn(stdout.toString());
}

function entriesIn(folder: string): [string, string][] {
  const files = (readKustomization(folder).configMapGenerator ?? []).flatMap(({ envs }) => envs);
  return files.flatMap((file) => {
    const lines = readFileSync(join(ROOT, KUBERNETES, folder, file), 'utf8').split('\n');
    const entries = lines.filter((line) => line !== '' && !line.startsWith('#'));
    return entries.map((line): [string, string] => {
      const [name = '', ...value] = line.split('=');
      return [name, value.join('=')];
    });
  });
}

function commandAlone(): string[] | undefined {
  return pathOf('kustomize') ? ['kustomize', 'build'] : undefined;
}
