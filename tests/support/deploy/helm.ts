import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv } from 'ajv';
import { parse } from 'yaml';
import { pathOf, run } from '../processes/command.ts';
import { type Manifest, manifestsIn } from './manifests.ts';

const ROOT = join(import.meta.dirname, '../../..');

export const CHART = 'deploy/helm/faf-cab-gateway';
/** Values for several gateways that share one Redis. */
export const PROD = 'deploy/helm/prod.yaml';
/** What renders charts on this machine, if it has it. */
export const HELM = pathOf('helm');

export type Values = Readonly<Record<string, unknown>>;

export const readChart = (path: string) => readFileSync(join(ROOT, CHART, path), 'utf8');

export function readTemplates(): string[] {
  return readdirSync(join(ROOT, CHART, 'templates')).map((name) => readChart(`templates/${name}`));
}

/** The chart's own values, with those of a file over them as Helm lays them: maps are merged, all else is replaced. */
export function valuesWith(path?: string): Values {
  const own: Values = parse(readChart('values.yaml'));
  return path === undefined ? own : merged(own, parse(readFileSync(join(ROOT, path), 'utf8')));
}

/** What the chart's schema says against values; nothing when it accepts them. */
export function refusals(values: Values): string[] {
  const ajv = new Ajv({ allErrors: true, strict: false });
  const validate = ajv.compile(JSON.parse(readChart('values.schema.json')));
  if (validate(values)) return [];
  return (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`);
}

/** The paths of all values, such as `image.tag`. A list or an empty map has none within it. */
export function pathsOf(values: Values, prefix = ''): string[] {
  return Object.entries(values).flatMap(([name, value]) =>
    isMap(value) && Object.keys(value).length > 0 ? pathsOf(value, `${prefix}${name}.`) : [prefix + name],
  );
}

/** Runs Helm on the chart, as for a release called `gateway`. Rejects with what it says when it refuses. */
export async function rendered(args: readonly string[] = []): Promise<Manifest[]> {
  const release = [
    'template',
    'gateway',
    join(ROOT, CHART),
    '--namespace',
    'faf-cab',
    '--kube-version',
    '1.30.0',
  ];
  const { stdout } = await run(HELM ?? '', [...release, ...args], { cwd: ROOT });
  return manifestsIn(stdout.toString());
}

export async function lint(args: readonly string[] = []): Promise<string> {
  const { stdout } = await run(HELM ?? '', ['lint', '--strict', join(ROOT, CHART), ...args], { cwd: ROOT });
  return stdout.toString();
}

function merged(under: Values, over: Values): Values {
  const entries = Object.entries(over).map(([name, value]) => {
    const below = under[name];
    return [name, isMap(below) && isMap(value) ? merged(below, value) : value];
  });
  return { ...under, ...Object.fromEntries(entries) };
}

function isMap(value: unknown): value is Values {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
