import type { Settings } from '../../config/config.ts';
import type { WrittenFile } from '../../config/file/gatewayFile.ts';
import { formatDuration } from '../../config/kinds/durations.ts';
import { originsOf } from '../../config/policies/origins.ts';
import { type PolicySettings, type Said, together } from '../../config/policies/policies.ts';
import { isMap } from '../../config/policies/policy.ts';
import { type PolicyValue, policyValues } from '../../config/report/policyValues.ts';
import { type ValueSources, variableValue } from '../../config/report/variableValues.ts';
import { type FileLevel, levelsFor } from '../../config/routes/levels.ts';
import type { Route, Service } from '../../config/sections/services.ts';
import type { Field } from '../../config/variables.ts';
import type { Origin, ValueExplained } from './explanation.ts';

/** Values that are kept otherwise than they are written, or that may be secrets: how they are shown. */
const KEPT_OTHERWISE: readonly {
  readonly path: RegExp;
  readonly name: string;
  readonly text: (value: unknown) => string;
}[] = [
  { path: /^(headers\.(?:request|response)\.(?:set|add)\..+)\.values$/, name: '$1', text: () => '(set)' },
  { path: /^(host)\.name$/, name: '$1', text: JSON.stringify },
  { path: /^(.+\.maxAge)$/, name: '$1', text: (value) => formatDuration(Number(value)) },
];

/** A field's name as it is written, which stands in the path in lower case. */
const SPELLING = /^headers\.(?:request|response)\.(?:set|add)\..+\.name$/;

type Origins = ReadonlyMap<string, readonly FileLevel['name'][]>;

export interface Explained {
  readonly settings: Settings;
  readonly sources: ValueSources;
  /** Undefined: there is no file. */
  readonly written: WrittenFile | undefined;
}

/** A value of a policy, and what stages know it by: its path, and below that which part it is. */
export interface PolicyExplained {
  readonly path: string;
  readonly value: ValueExplained;
}

/** What holds for the requests of a service or route, and where each value comes from. */
export function explainedPolicies(
  explained: Explained,
  place: { readonly service: Service | undefined; readonly route: Route | undefined },
  settings: PolicySettings,
): PolicyExplained[] {
  const { written } = explained;
  const levels = written ? levelsFor(written, explained.settings, place) : [];
  const origins = originsOf(levels);
  const known = policyValues(settings);
  const values = known.map((value) => ({
    path: value.part === undefined ? value.path : `${value.path}.${value.part}`,
    value: { name: value.path, value: value.value, from: originOf(value, origins, levels, explained) },
  }));
  // A policy that has no words of its own here is shown as it is written.
  const policies = new Set(known.map(({ path }) => path.split('.')[0]));
  const said = together(...levels.map(({ says }) => says as Said));
  const others = [...origins]
    .filter(([path]) => !policies.has(path.split('.')[0]) && !SPELLING.test(path))
    .map(([path, names]) => ({ path, names, found: valueAt(said, path.split('.')) }))
    .filter(({ found }) => !isMap(found))
    .map(({ path, names, found }) => {
      const { name, value } = shown(path, found);
      return { path: name, value: { name, value, from: inFile(path, names, levels, written) } };
    });
  return [...values, ...others];
}

/** A setting of the whole gateway. */
export function explainedVariable(field: Field, { settings, sources }: Explained): ValueExplained {
  const { name, value, source } = variableValue(field, sources, settings);
  return { name, value, from: { level: source } };
}

function shown(path: string, value: unknown): { readonly name: string; readonly value: string } {
  const kept = KEPT_OTHERWISE.find((each) => each.path.test(path));
  if (!kept) return { name: path, value: JSON.stringify(value) };
  return { name: path.replace(kept.path, kept.name), value: kept.text(value) };
}

function originOf(
  { path, variable, levels: own }: PolicyValue,
  origins: Origins,
  levels: readonly FileLevel[],
  explained: Explained,
): Origin {
  // Of a whole policy several levels may have said something.
  const saying =
    own ??
    [...origins]
      .filter(([each]) => each === path || each.startsWith(`${path}.`))
      .flatMap(([, names]) => names);
  const names = levels.map(({ name }) => name).filter((name) => saying.includes(name));
  if (names.length > 0) return inFile(path, names, levels, explained.written);
  if (variable === undefined) return ofWhole(path, origins, levels, explained.written);
  const { name, source } = variableValue(variable, explained.sources, explained.settings);
  return { level: source, variable: name };
}

/** Of a default, the level that turns the whole policy on: `compress: on`. */
function ofWhole(
  path: string,
  origins: Origins,
  levels: readonly FileLevel[],
  written: WrittenFile | undefined,
): Origin {
  const policy = path.split('.')[0] as string;
  const names = origins.get(policy);
  return names ? inFile(policy, names, levels, written) : { level: 'default' };
}

/** @param names of the levels that say it, one or more, the innermost first */
function inFile(
  path: string,
  names: readonly FileLevel['name'][],
  levels: readonly FileLevel[],
  written: WrittenFile | undefined,
): Origin {
  const [first, ...more] = names.map((level): Origin => {
    const at = levels.find(({ name }) => name === level)?.at ?? [];
    return { level, ...(written && { place: written.placeOf([...at, ...path.split('.')]) }) };
  });
  return { ...(first ?? { level: 'default' }), ...(more.length > 0 && { and: more }) };
}

function valueAt(data: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((value, name) => (value as Record<string, unknown> | undefined)?.[name], data);
}
