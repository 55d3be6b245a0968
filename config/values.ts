import { readFileSync } from 'node:fs';
import { quote, reasonOf } from './report/problems.ts';
import { type Field, listVariables, type Values, type Variable } from './variables.ts';

/** Returns the text of a file, or throws. */
export type ReadFile = (path: string) => string;

/** Where a value comes from. `file`: the file that a `_FILE` variable names. */
export type Source = 'default' | 'environment' | 'file';

/** The text of a variable, before it is parsed. */
export interface Given {
  readonly text: string | undefined;
  readonly source: Source;
}

/** The values of all variables, and the problems of those that cannot be parsed. */
export interface Reading {
  /** A variable with a problem has its default here. */
  readonly values: Values;
  readonly problems: ReadonlyMap<Field, string>;
}

type Result<T> = { readonly value: T } | { readonly problem: string };

/** Reads a file of the machine as UTF-8. */
export const readTextFile: ReadFile = (path) => readFileSync(path, 'utf8');

/** Reads every variable of the table. */
export function readValues(env: NodeJS.ProcessEnv, readFile: ReadFile): Reading {
  const problems = new Map<Field, string>();
  const values: Partial<Record<Field, unknown>> = {};
  for (const [field, variable] of listVariables()) {
    const result = readVariable(variable, env, readFile);
    if ('problem' in result) problems.set(field, result.problem);
    values[field] = 'value' in result ? result.value : parseDefault(variable);
  }
  // The loop fills each field from the row that Values takes its type from.
  return { values: values as Values, problems };
}

/** The text of a variable from the environment, the file beside it or its default. */
export function lookUp(variable: Variable, env: NodeJS.ProcessEnv, readFile: ReadFile): Result<Given> {
  const { name, file } = variable;
  const text = textOf(name, variable.mask !== undefined, env);
  const path = file && textOf(file, false, env);
  if (text !== undefined && path !== undefined) {
    return { problem: `${name} and ${file} are both set: expected only one of them` };
  }
  if (text !== undefined) return { value: { text, source: 'environment' } };
  if (file === undefined || path === undefined)
    return { value: { text: variable.default, source: 'default' } };
  return readSecret(file, path, readFile);
}

function readVariable(variable: Variable, env: NodeJS.ProcessEnv, readFile: ReadFile): Result<unknown> {
  const given = lookUp(variable, env, readFile);
  if ('problem' in given) return given;
  const { text } = given.value;
  if (text === undefined) return { value: undefined };
  const parsed = variable.kind.schema.safeParse(text);
  if (parsed.success) return { value: parsed.data };
  const shown = variable.mask ? 'has a value that is not shown here' : `is ${quote(text)}`;
  return { problem: `${variable.name} ${shown}: expected ${parsed.error.issues[0]?.message}` };
}

function readSecret(file: string, path: string, readFile: ReadFile): Result<Given> {
  try {
    // Editors and `echo` end a file with a newline that does not belong to the secret.
    const text = readFile(path).replace(/\r?\n$/, '');
    if (text !== '') return { value: { text, source: 'file' } };
    return { problem: `${file} is ${quote(path)}: expected a file holding the secret, this one is empty` };
  } catch (error) {
    return { problem: `${file} is ${quote(path)}: expected a readable file (${reasonOf(error)})` };
  }
}

function parseDefault(variable: Variable): unknown {
  return variable.default === undefined ? undefined : variable.kind.schema.parse(variable.default);
}

/** Removes blanks around a value, except in a secret. A value of blanks only counts as unset. */
function textOf(name: string, isSecret: boolean, env: NodeJS.ProcessEnv): string | undefined {
  const text = env[name] ?? '';
  return (isSecret ? text : text.trim()) || undefined;
}
