import type { z } from 'zod';
import { quote } from '../report/problems.ts';
import { suggest } from '../report/suggest.ts';

/** A problem and the part of the file that it is about. */
export interface FileProblem {
  readonly path: readonly PropertyKey[];
  readonly text: string;
}

/** Where what the former SERVICES_FILE had in another place is now. */
const MOVED: ReadonlyMap<string, string> = new Map([
  ['concurrency', 'limits.concurrency'],
  ['streams', 'limits.streams'],
  ['requestTimeout', 'timeouts.request'],
  ['cacheTtl', 'cache.ttl'],
  ['cacheShared', 'cache.shared'],
]);

/**
 * What an issue of zod means for the author of a file: `services[2].timeouts.request is "soon": expected ...`.
 *
 * @param written the file's data as it is written, without what variables stand for
 */
export function describeIssue(schema: z.ZodType, issue: z.core.$ZodIssue, written: unknown): FileProblem[] {
  const { path } = issue;
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      path: [...path, key],
      text: `${pathText([...path, key])} is not known${meant(key, schema, path)}`,
    }));
  }
  if (issue.code === 'invalid_union') {
    const nested = branchFor(issue.errors, valueAt(written, path));
    if (nested) {
      return nested.flatMap((each) =>
        describeIssue(schema, { ...each, path: [...path, ...each.path] }, written),
      );
    }
  }
  if (issue.code === 'invalid_key') {
    const [wrong = issue] = issue.issues;
    return [{ path, text: `${pathText(path)} is not known: expected ${wrong.message}` }];
  }
  if (issue.code === 'custom' && issue.params?.ending !== undefined) {
    return [{ path, text: `${pathText(path)} ${issue.params.ending}` }];
  }
  // What is no object may be another file altogether, and full of secrets.
  if (path.length === 0) {
    return [{ path, text: `the file is ${kindOf(written)}: expected ${issue.message}` }];
  }
  const value = valueAt(written, path);
  const shown = value === undefined ? 'missing' : quote(value);
  return [{ path, text: `${pathText(path)} is ${shown}: expected ${issue.message}` }];
}

/** `['services', 2, 'name']` as `services[2].name`. */
export function pathText(path: readonly PropertyKey[]): string {
  return path
    .map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`))
    .join('')
    .replace(/^\./, '');
}

/** Of an object or a list, what is wrong with it as one; undefined where it should be something else altogether. */
function branchFor(
  branches: readonly (readonly z.core.$ZodIssue[])[],
  value: unknown,
): readonly z.core.$ZodIssue[] | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  return branches.find((issues) =>
    issues.every(({ path, code }) => path.length > 0 || code === 'unrecognized_keys'),
  );
}

/** What stands instead, or where the field belongs; with what goes before it. */
function meant(key: string, schema: z.ZodType, path: readonly PropertyKey[]): string {
  const known = keysAt(schema, path);
  const moved = MOVED.get(key);
  if (moved !== undefined && known.includes(moved.split('.')[0] ?? '')) return `: it is ${moved} now`;
  const name = suggest(key, known) ?? longerOrShorter(key, known);
  if (name !== undefined) return `: did you mean ${name}?`;
  const places = placesOf(key, schema, path, known);
  return places.length > 0
    ? ` here: expected it ${places.join(' or ')}`
    : `: expected one of ${known.join(', ')}`;
}

/** `percentage` for `percent`, `unhealthy` for `unhealthyAfter`. */
function longerOrShorter(key: string, known: readonly string[]): string | undefined {
  const isBeginning = (one: string, other: string) => one.length >= 4 && other.startsWith(one);
  return known.find((name) => isBeginning(name, key) || isBeginning(key, name));
}

/** Where policies may stand. Routes of a service may say whatever free-standing ones may, but for `service`. */
const LEVELS: readonly (readonly [name: string, path: readonly PropertyKey[]])[] = [
  ['in defaults', ['defaults']],
  ['at a service', ['services', 0]],
  ['on a route', ['services', 0, 'routes', 0]],
];

/** Where else a field of this name may stand: below one of those that are known here, or at another level of the file. */
function placesOf(
  key: string,
  schema: z.ZodType,
  path: readonly PropertyKey[],
  known: readonly string[],
): string[] {
  const here = pathText(path.map((part) => (typeof part === 'number' ? 0 : part))).replace(
    /^routes/,
    'services[0].routes',
  );
  const isLevel = here === '' || LEVELS.some(([, level]) => pathText(level) === here);
  const below = known.filter((name) => here !== '' && keysAt(schema, [...path, name]).includes(key));
  const levels = LEVELS.filter(([, level]) => isLevel && keysAt(schema, level).includes(key));
  return [...below.map((name) => `below ${name}`), ...levels.map(([name]) => name)];
}

/** The names that an object at this path of the schema may have. */
function keysAt(schema: z.core.$ZodType, path: readonly PropertyKey[]): string[] {
  let shapes = shapesOf(schema);
  for (const part of path) {
    shapes = shapes.flatMap(({ def }) => {
      if (def.type === 'array') return shapesOf((def as z.core.$ZodArrayDef).element);
      const child = ownValue((def as z.core.$ZodObjectDef).shape, part) as z.core.$ZodType | undefined;
      return child ? shapesOf(child) : [];
    });
  }
  return shapes.flatMap(({ def }) => Object.keys((def as z.core.$ZodObjectDef).shape ?? {}));
}

interface Shape {
  readonly def: z.core.$ZodTypeDef;
}

/** The objects and lists that a schema stands for, behind what makes it optional or one of several. */
function shapesOf(schema: z.core.$ZodType): Shape[] {
  const { def } = schema as z.ZodType;
  if (def.type === 'optional') return shapesOf((def as z.core.$ZodOptionalDef).innerType);
  if (def.type === 'union') return (def as z.core.$ZodUnionDef).options.flatMap((option) => shapesOf(option));
  if (def.type === 'pipe') {
    const { in: given, out } = def as z.core.$ZodPipeDef;
    return shapesOf((given as z.ZodType).def.type === 'transform' ? out : given);
  }
  return [{ def }];
}

function kindOf(data: unknown): string {
  if (Array.isArray(data)) return 'a list';
  if (typeof data === 'string') return 'one text';
  return data === null || data === undefined ? 'empty' : `a ${typeof data}`;
}

function valueAt(data: unknown, path: readonly PropertyKey[]): unknown {
  let value = data;
  for (const part of path) value = ownValue(value, part);
  return value;
}

/** Not what every object inherits, such as `constructor`: a file may have such a name as well. */
function ownValue(data: unknown, name: PropertyKey): unknown {
  if (typeof data !== 'object' || data === null || !Object.hasOwn(data, name)) return undefined;
  return (data as Record<PropertyKey, unknown>)[name];
}
