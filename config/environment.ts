import { parseEnv } from 'node:util';
import { quote, reasonOf, SettingsError } from './report/problems.ts';
import { type ReadFile, readTextFile } from './values.ts';

/** The environment of the process and, for variables that it does not have, the file `.env`. */
export function readEnvironment(
  env: NodeJS.ProcessEnv = process.env,
  dotenv: NodeJS.Dict<string> = readDotenv(),
): NodeJS.ProcessEnv {
  return { ...dotenv, ...env };
}

/** The variables of a `.env` file in the working directory; none when there is no such file. */
export function readDotenv(path = '.env', readFile: ReadFile = readTextFile): NodeJS.Dict<string> {
  try {
    return parseEnv(readFile(path));
  } catch (error) {
    const reason = reasonOf(error);
    if (reason === 'ENOENT') return {};
    throw new SettingsError([`The file ${quote(path)} cannot be read (${reason})`]);
  }
}
