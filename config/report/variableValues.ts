import type { Settings } from '../config.ts';
import { formatDuration } from '../kinds/durations.ts';
import { lookUp, type ReadFile, readTextFile } from '../values.ts';
import { type Field, type Variable, variables } from '../variables.ts';

/** Where settings were read from. */
export interface ValueSources {
  readonly env: NodeJS.ProcessEnv;
  readonly dotenv: NodeJS.Dict<string>;
  readonly readFile?: ReadFile;
}

/** The value of a variable for people to read, without secrets, and where it comes from. */
export interface VariableValue {
  readonly name: string;
  readonly value: string;
  readonly source: 'default' | 'environment' | 'file' | '.env';
}

/** What a variable amounts to in `settings`, which were loaded from these sources. */
export function variableValue(
  field: Field,
  { env, dotenv, readFile = readTextFile }: ValueSources,
  settings: Settings,
): VariableValue {
  const variable: Variable = variables[field];
  const given = lookUp(variable, { ...dotenv, ...env }, readFile);
  const { text, source } = 'value' in given ? given.value : { text: undefined, source: 'default' as const };
  const fromDotenv = source === 'environment' && env[variable.name] === undefined;
  return {
    name: variable.name,
    value: shown(field, variable, text, settings),
    source: fromDotenv ? '.env' : source,
  };
}

function shown(field: Field, variable: Variable, text: string | undefined, settings: Settings): string {
  if (text) return variable.mask?.(text) ?? text;
  if (field === 'gatewayFile' && settings.gatewayFile !== undefined) return settings.gatewayFile;
  // Defaults that are computed from other settings.
  if (field === 'cacheMaxBytes' || field === 'maxConnections') return String(settings[field]);
  if (field === 'memoryLimitBytes' && settings.memory.limitBytes !== undefined)
    return String(settings.memory.limitBytes);
  if (field === 'circuitBreakerWindowMs' || field === 'drainGraceMs') return formatDuration(settings[field]);
  return `(${variable.unset ?? 'none'})`;
}
