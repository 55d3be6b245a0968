import { suggest } from './suggest.ts';
import { listVariables } from './variables.ts';

/** A problem for each variable that looks like a misspelt setting: it would do nothing, unnoticed. */
export function misspeltNames(env: NodeJS.ProcessEnv): string[] {
  const known = new Set(listVariables().map(([, variable]) => variable.name));
  return Object.keys(env)
    .filter((name) => !known.has(name))
    .flatMap((name) => {
      const meant = suggest(name, known);
      return meant ? [`${name} is not a setting: did you mean ${meant}?`] : [];
    });
}
