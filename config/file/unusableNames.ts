import { type FileProblem, pathText } from './issues.ts';

/**
 * Where a file has `__proto__` for a name, which no part of the file can mean. In a map of any names zod leaves it out in silence:
 * a route would match more than it says.
 *
 * @param reported what is said of it already, or of the map that it is in
 */
export function unusableNames(data: unknown, reported: readonly FileProblem[]): FileProblem[] {
  const said = new Set(reported.map(({ path }) => pathText(path)));
  return pathsTo('__proto__', data, [])
    .filter((path) => !said.has(pathText(path)) && !said.has(pathText(path.slice(0, -1))))
    .map((path) => ({ path, text: `${pathText(path)} is not known: expected another name` }));
}

function pathsTo(name: string, data: unknown, at: readonly PropertyKey[]): (readonly PropertyKey[])[] {
  if (typeof data !== 'object' || data === null) return [];
  const within: [PropertyKey, unknown][] = Array.isArray(data) ? [...data.entries()] : Object.entries(data);
  return within.flatMap(([key, value]) =>
    key === name ? [[...at, key]] : pathsTo(name, value, [...at, key]),
  );
}
