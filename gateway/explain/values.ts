import type { Settings } from '../../config/config.ts';
import type { WrittenFile } from '../../config/file/gatewayFile.ts';
import { originsOf } from '../../config/policies/origins.ts';
import { type PolicySettings, type Said, together } from '../../config/policies/policies.ts';
import { type PolicyValue, policyValues } from '../../config/report/policyValues.ts';
import { type ValueSources, variableValue } from '../../config/report/variableValues.ts';
import { type FileLevel, levelsFor } from '../../config/routes/levels.ts';
import type { Route, Service } from '../../config/sections/services.ts';
import type { Field } from '../../config/variables.ts';
import type { Origin, ValueExplained } from './explanation.ts';

/** The values of a field that a rule sets or adds: they may be secrets. */
const SECRET = /^(headers\.(?:request|response)\.(?:set|add)\..+)\.values$/;
/** The field's name as it is written, which stands in the path in lower case. */
const SPELLING = /^headers\.(?:request|response)\.(?:set|add)\..+\.name$/;

export interface Explained {
  readonly settings: Settings;
  readonly sources: ValueSources;
  /** Undefined: there is no file. */
  readonly written: WrittenFile | undefined;
}

/** What holds for the requests of a service or route, and where each value comes from. */
export function explainedPolicies(
  explained: Explained,
  place: { readonly service: Service | undefined; readonly route: Route | undefined },
  settings: PolicySettings,
): ValueExplained[] {
  const { written } = explained;
  const levels = written ? levelsFor(written, explained.settings, place) : [];
  const origins = originsOf(levels);
  const known = policyValues(settings);
  const values = known.map((value) => ({
    name: value.path,
    value: value.value,
    from: originOf(value, origins, levels, explained),
  }));
  // A policy that has no words of its own here is shown as it is written.
  const policies = new Set(known.map(({ path }) => path.split('.')[0]));
  const said = together(...levels.map(({ says }) => says as Said));
  const others = [...origins]
    .filter(([path]) => !policies.has(path.split('.')[0]) && !SPELLING.test(path))
    .map(([path, level]) => ({
      name: path.replace(SECRET, '$1'),
      value: SECRET.test(path) ? '(set)' : JSON.stringify(valueAt(said, path.split('.'))),
      from: inFile(path, level, levels, written),
    }));
  return [...values, ...others];
}

/** A setting of the whole gateway. */
export function explainedVariable(field: Field, { settings, sources }: Explained): ValueExplained {
  const { name, value, source } = variableValue(field, sources, settings);
  return { name, value, from: { level: source } };
}

function originOf(
  { path, variable }: PolicyValue,
  origins: ReadonlyMap<string, FileLevel['name']>,
  levels: readonly FileLevel[],
  explained: Explained,
): Origin {
  // Of a whole policy several levels may have said something: the innermost of them is named.
  const said = [...origins].filter(([each]) => each === path || each.startsWith(`${path}.`));
  const innermost = levels.find(({ name }) => said.some(([, level]) => level === name));
  if (innermost) return inFile(path, innermost.name, levels, explained.written);
  if (variable === undefined) return { level: 'default' };
  const { name, source } = variableValue(variable, explained.sources, explained.settings);
  return { level: source, variable: name };
}

function inFile(
  path: string,
  level: FileLevel['name'],
  levels: readonly FileLevel[],
  written: WrittenFile | undefined,
): Origin {
  const at = levels.find(({ name }) => name === level)?.at ?? [];
  return { level, ...(written && { place: written.placeOf([...at, ...path.split('.')]) }) };
}

function valueAt(data: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((value, name) => (value as Record<string, unknown> | undefined)?.[name], data);
}
