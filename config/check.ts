import { parseArgs } from 'node:util';
import { loadSettings, type Settings, SettingsError } from './config.ts';
import { readDotenv, readEnvironment } from './environment.ts';
import { formatDuration } from './kinds/durations.ts';
import { authText } from './policies/auth/auth.ts';
import { maskCredentials, reasonOf } from './report/problems.ts';
import { settingsWarnings } from './report/warnings.ts';
import { allRoutes } from './routes/complete.ts';
import type { Route, Service } from './sections/services.ts';
import { lookUp, type ReadFile, readTextFile } from './values.ts';
import { type Field, listVariables, type Variable } from './variables.ts';

const USAGE = `Usage: npm run config:check

Prints the settings that the gateway would start with, from the environment and the file .env, or everything
that is wrong with them; below them what is set and does nothing. docs/settings.md explains each.

  -h, --help  print this and stop
`;

const SETTING_COLUMNS = ['SETTING', 'VALUE', 'SOURCE'];
const ROUTE_COLUMNS = ['ROUTE', 'SPELLING', 'AUTH', 'TIMEOUT', 'IDLE', 'BODY', 'CACHE'];
const SERVICE_COLUMNS = [
  'SERVICE',
  'PATH',
  'UPSTREAMS',
  'CONCURRENCY',
  'STREAMS',
  'TIMEOUT',
  'CACHE',
  'PREFIX',
  'BREAKER',
  'AUTH',
  'IDLE',
  'BODY',
  'ALIASES',
];

/** The sources of the settings to report. */
export interface ReportSources {
  readonly env: NodeJS.ProcessEnv;
  readonly dotenv: NodeJS.Dict<string>;
  readonly readFile?: ReadFile;
}

/**
 * The effective settings and services as aligned text, secrets masked.
 *
 * @throws {SettingsError} listing everything that is wrong
 */
export function reportSettings({ env, dotenv, readFile = readTextFile }: ReportSources): string {
  const merged = readEnvironment(env, dotenv);
  const settings = loadSettings(merged, readFile);
  const rows = listVariables().map(([field, variable]) => {
    const given = lookUp(variable, merged, readFile);
    const { text, source } = 'value' in given ? given.value : { text: undefined, source: 'default' };
    const fromDotenv = source === 'environment' && env[variable.name] === undefined;
    return [variable.name, show(field, variable, text, settings), fromDotenv ? '.env' : source];
  });
  const routes = allRoutes(settings);
  return [
    align([SETTING_COLUMNS, ...rows]),
    `Shared state: ${storePlace(settings)}\n`,
    align([SERVICE_COLUMNS, ...settings.services.map(serviceRow)]),
    ...(routes.length > 0 ? [align([ROUTE_COLUMNS, ...routes.map(routeRow)])] : []),
    ...settingsWarnings({ env, dotenv, settings }).map((warning) => `Warning: ${warning}\n`),
  ].join('\n');
}

function storePlace({ redisUrl, redisNodes, dataDir }: Settings): string {
  if (redisUrl !== undefined) return maskCredentials(redisUrl);
  if (redisNodes.length === 0) return `embedded, in ${dataDir}`;
  return redisNodes.map(({ name, url }) => `${name} at ${maskCredentials(url)}`).join(', ');
}

function serviceRow(service: Service): string[] {
  return [
    service.name,
    service.path,
    service.upstreams.join(' ') || '(from the registry)',
    String(service.concurrency),
    String(service.streams),
    formatDuration(service.requestTimeoutMs),
    ttlText(service.cacheTtlMs),
    service.stripPrefix ? 'cut' : 'kept',
    service.breaker ? 'on' : 'off',
    authText(service.auth),
    formatDuration(service.idleTimeoutMs),
    bytesText(service.maxBodyBytes),
    service.aliases.join(' '),
  ];
}

function routeRow({ name, spelling, settings }: Route): string[] {
  return [
    name,
    spelling,
    authText(settings.auth),
    formatDuration(settings.requestTimeoutMs),
    formatDuration(settings.idleTimeoutMs),
    bytesText(settings.maxBodyBytes),
    ttlText(settings.cacheTtlMs),
  ];
}

function bytesText(bytes: number): string {
  return bytes === 0 ? 'any' : String(bytes);
}

function ttlText(ttlMs: number | 'off'): string {
  return ttlMs === 'off' ? 'off' : formatDuration(ttlMs);
}

function show(field: Field, variable: Variable, text: string | undefined, settings: Settings): string {
  if (text) return variable.mask?.(text) ?? text;
  if (field === 'gatewayFile' && settings.gatewayFile !== undefined) return settings.gatewayFile;
  // Defaults that are computed from other settings.
  if (field === 'cacheMaxBytes' || field === 'maxConnections') return String(settings[field]);
  if (field === 'memoryLimitBytes' && settings.memory.limitBytes !== undefined)
    return String(settings.memory.limitBytes);
  if (field === 'circuitBreakerWindowMs' || field === 'drainGraceMs') return formatDuration(settings[field]);
  return `(${variable.unset ?? 'none'})`;
}

function align(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [column, cell] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, cell.length);
  }
  const lines = rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  '));
  return lines.map((line) => `${line.trimEnd()}\n`).join('');
}

/** Runs the command; gives its exit code. */
function main(args: string[]): number {
  try {
    const { values } = parseArgs({ args, options: { help: { type: 'boolean', short: 'h' } } });
    process.stdout.write(values.help ? USAGE : reportSettings({ env: process.env, dotenv: readDotenv() }));
    return 0;
  } catch (error) {
    const isUsage = reasonOf(error).startsWith('ERR_PARSE_ARGS');
    if (!(error instanceof SettingsError) && !(error instanceof TypeError && isUsage)) throw error;
    process.stderr.write(`${error.message}\n${isUsage ? `\n${USAGE}` : ''}`);
    return 1;
  }
}

if (import.meta.main) process.exitCode = main(process.argv.slice(2));
