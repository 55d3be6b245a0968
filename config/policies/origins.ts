import { isDeepStrictEqual } from 'node:util';
import { type Said, together } from './policies.ts';
import { isMap } from './policy.ts';

/** What one level says: an object of policies by name. */
export interface Level<Name extends string = string> {
  readonly name: Name;
  readonly says: unknown;
}

/**
 * Which of the levels each value comes from that `together` makes of them: by the value's path, such as `timeouts.request`, or that of
 * a policy with nothing in it, such as `compress: on` is. What no level says, or one further in takes away, is not there. Of a list that levels add up, all that add to it, the innermost
 * first.
 *
 * @param levels the innermost first, as for `together`
 */
export function originsOf<Name extends string>(
  levels: readonly Level<Name>[],
): ReadonlyMap<string, readonly Name[]> {
  let origins: ReadonlyMap<string, readonly Name[]> = new Map();
  let outer: ReadonlyMap<string, unknown> = new Map();
  let holds: Said = {};
  for (const { name, says = {} } of levels.toReversed()) {
    const own = valuesIn(says);
    holds = together(says as Said, holds);
    const merged = valuesIn(holds);
    const next = new Map<string, readonly Name[]>();
    for (const [path, value] of merged) {
      const before = origins.get(path) ?? [];
      if (isDeepStrictEqual(value, own.get(path))) next.set(path, [name]);
      else next.set(path, isDeepStrictEqual(value, outer.get(path)) ? before : [name, ...before]);
    }
    origins = next;
    outer = merged;
  }
  return origins;
}

/** Says a policy with all its defaults: `compress: on`. */
const ALL_DEFAULTS = Object.freeze({});

/** Each value that is no object, and each policy with nothing in it, by its path. */
function valuesIn(said: unknown): Map<string, unknown> {
  const values = new Map<string, unknown>();
  const collect = (value: unknown, path: string) => {
    if (value === undefined) return;
    if (!isMap(value)) {
      values.set(path, value);
      return;
    }
    const before = values.size;
    for (const [name, each] of Object.entries(value)) collect(each, path === '' ? name : `${path}.${name}`);
    if (values.size === before && isPolicy(path)) values.set(path, ALL_DEFAULTS);
  };
  collect(said, '');
  return values;
}

function isPolicy(path: string): boolean {
  return path !== '' && !path.includes('.');
}
