import { isMap } from './policy.ts';

/** What one level says: a policy's value, or an object of them by name. */
export interface Level<Name extends string = string> {
  readonly name: Name;
  readonly says: unknown;
}

/**
 * Which of the levels each value comes from that `inherit` makes of them together: by the value's path, such as
 * `timeouts.request`. What no level says is not there.
 *
 * @param levels the innermost first, as for `together`
 */
export function originsOf<Name extends string>(levels: readonly Level<Name>[]): ReadonlyMap<string, Name> {
  const origins = new Map<string, Name>();
  collect(levels, '', origins);
  return origins;
}

function collect<Name extends string>(
  levels: readonly Level<Name>[],
  path: string,
  origins: Map<string, Name>,
): void {
  const saying = levels.filter(({ says }) => says !== undefined);
  const [inner] = saying;
  if (inner === undefined) return;
  if (!isMap(inner.says)) {
    origins.set(path, inner.name);
    return;
  }
  // What is no object replaces everything further out.
  const end = saying.findIndex(({ says }) => !isMap(says));
  const maps = (end === -1 ? saying : saying.slice(0, end)) as readonly Level<Name>[];
  const names = new Set(maps.flatMap(({ says }) => Object.keys(says as object)));
  for (const name of names) {
    const below = maps.map(({ name: level, says }) => ({
      name: level,
      says: (says as Readonly<Record<string, unknown>>)[name],
    }));
    collect(below, path === '' ? name : `${path}.${name}`, origins);
  }
}
