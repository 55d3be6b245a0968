import { loadSettings } from '../../config/config.ts';
import { readEnvironment } from '../../config/environment.ts';
import { readGatewayFile } from '../../config/file/gatewayFile.ts';
import type { ValueSources } from '../../config/report/variableValues.ts';
import { readTextFile } from '../../config/values.ts';
import type { Explained } from './values.ts';

/**
 * The settings that a gateway would start with, and where they were said.
 *
 * @throws {SettingsError} listing everything that is wrong
 */
export function loadExplained(sources: ValueSources): Explained {
  const env = readEnvironment(sources.env, sources.dotenv);
  const { readFile = readTextFile } = sources;
  const settings = loadSettings(env, readFile);
  const { written } = readGatewayFile({ path: settings.gatewayFile, env, readFile });
  return { settings, sources, written };
}
