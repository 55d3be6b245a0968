import { loadSettings, type Settings, SettingsError } from '../../../config/config.ts';

export const JWT_SECRET = 'test secret';

/** The settings for these variables and files; JWT_SECRET is set unless the test says otherwise. */
export function load(env: NodeJS.ProcessEnv, files: Readonly<Record<string, string>> = {}): Settings {
  return loadSettings({ JWT_SECRET, ...env }, (path) => {
    const text = files[path];
    if (text === undefined) throw Object.assign(new Error(`no ${path}`), { code: 'ENOENT' });
    return text;
  });
}

/** What is wrong with these variables and files; empty when nothing is. */
export function problemsOf(
  env: NodeJS.ProcessEnv,
  files: Readonly<Record<string, string>> = {},
): readonly string[] {
  try {
    load(env, files);
  } catch (error) {
    if (error instanceof SettingsError) return error.problems;
    throw error;
  }
  return [];
}
