import type { z } from 'zod';
import { fileSchema } from '../../../config/file/schema.ts';

/** Where a field of a GATEWAY_FILE may stand. `free`: a route beside the services. */
export const LEVELS = ['defaults', 'service', 'route', 'free'] as const;
export type Level = (typeof LEVELS)[number];

const PREFIXES: readonly (readonly [string, Level])[] = [
  ['services.routes.', 'route'],
  ['services.', 'service'],
  ['defaults.', 'defaults'],
  ['routes.', 'free'],
];

/** What zod knows of a schema, as far as it is asked here. */
interface Definition {
  readonly type: string;
  readonly shape?: Readonly<Record<string, z.core.$ZodType>>;
  readonly options?: readonly z.core.$ZodType[];
  readonly innerType?: z.core.$ZodType;
  readonly element?: z.core.$ZodType;
  readonly valueType?: z.core.$ZodType;
  readonly in?: z.core.$ZodType;
  readonly out?: z.core.$ZodType;
}

/** The paths below `at` at which a schema takes a value that is no object of its own; lists and names that users choose add nothing. */
function* pathsIn(schema: z.core.$ZodType, at: readonly string[]): Generator<string> {
  const { type, shape, options, innerType, element, valueType, ...pipe } = schema._zod.def as Definition;
  if (shape) {
    for (const [name, field] of Object.entries(shape)) yield* pathsIn(field, [...at, name]);
    return;
  }
  // What z.preprocess makes begins with a transform, which has no shape.
  const piped = type === 'pipe' ? [pipe.in?._zod.def.type === 'transform' ? pipe.out : pipe.in] : [];
  const within = [...(options ?? []), innerType, element, valueType, ...piped].filter(
    (each) => each !== undefined,
  );
  if (within.length === 0) yield at.join('.');
  for (const each of within) yield* pathsIn(each, at);
}

/** Every field of the shape of a GATEWAY_FILE, such as `timeouts.request`, and the levels on which it may stand. */
export function everyField(): ReadonlyMap<string, ReadonlySet<Level>> {
  const fields = new Map<string, Set<Level>>();
  for (const path of pathsIn(fileSchema, [])) {
    const [prefix, level] = PREFIXES.find(([start]) => path.startsWith(start)) ?? [];
    if (prefix === undefined || level === undefined) continue;
    const field = path.slice(prefix.length);
    fields.set(field, (fields.get(field) ?? new Set()).add(level));
  }
  return fields;
}
