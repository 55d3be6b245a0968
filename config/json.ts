import type { z } from 'zod';
import { quote } from './report/problems.ts';
import { suggest } from './report/suggest.ts';

/** An issue of zod in words for the author of a JSON file: `services[2].requestTimeout is "soon": expected ...`. */
export function describeIssue(
  issue: z.core.$ZodIssue,
  at: readonly PropertyKey[],
  known: readonly string[],
): string[] {
  const path = [...at, ...issue.path];
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => `${pathText([...path, key])} is not known: ${meant(key, known)}`);
  }
  const value = issue.input === undefined ? 'missing' : quote(issue.input);
  return [`${pathText(path) || 'the file'} is ${value}: expected ${issue.message}`];
}

/** `['services', 2, 'name']` as `services[2].name`. */
function pathText(path: readonly PropertyKey[]): string {
  return path
    .map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`))
    .join('')
    .slice(1);
}

function meant(key: string, known: readonly string[]): string {
  const name = suggest(key, known);
  return name ? `did you mean ${name}?` : `expected one of ${known.join(', ')}`;
}
