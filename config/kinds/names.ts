import { suggest } from '../report/suggest.ts';
import { listVariables } from '../variables.ts';

/** The setting of which an unknown variable's name is probably a misspelling; undefined when there is none. */
export function settingMeantBy(name: string): string | undefined {
  const known = new Set(listVariables().map(([, variable]) => variable.name));
  return known.has(name) ? undefined : suggest(name, known);
}

/** A line for each variable that looks like a misspelt setting. */
export function misspeltNames(env: NodeJS.ProcessEnv): string[] {
  return Object.keys(env).flatMap((name) => {
    const meant = settingMeantBy(name);
    return meant ? [`${name} is not a setting: did you mean ${meant}?`] : [];
  });
}
