import { parseArgs, styleText } from 'node:util';
import { loadSettings, type Settings, SettingsError } from './config.ts';
import { readDotenv, readEnvironment } from './environment.ts';
import { readGatewayFile } from './file/gatewayFile.ts';
import { formatDuration } from './kinds/durations.ts';
import { authText } from './policies/auth/auth.ts';
import { compressText } from './policies/fields/compress.ts';
import { ratesText } from './policies/limits/rates.ts';
import { mirrorText } from './policies/mirror.ts';
import { balanceText } from './policies/upstream/balance.ts';
import { healthText } from './policies/upstream/health.ts';
import { bytesText, tlsText, ttlText } from './report/policyValues.ts';
import { maskCredentials, reasonOf } from './report/problems.ts';
import { routeTable } from './report/routeTable.ts';
import { align } from './report/table.ts';
import { variableValue } from './report/variableValues.ts';
import { settingsWarnings } from './report/warnings.ts';
import { allRoutes } from './routes/complete.ts';
import { type Service, upstreamTexts } from './sections/services.ts';
import { type ReadFile, readTextFile } from './values.ts';
import { listVariables } from './variables.ts';

const USAGE = `Usage: npm run config:check

Prints the settings that the gateway would start with, from the environment and the file .env, or everything
that is wrong with them; below them what is set and does nothing. docs/settings.md explains each.

  -h, --help  print this and stop
`;

const SETTING_COLUMNS = ['SETTING', 'VALUE', 'SOURCE'];
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
  'HEALTH',
  'AUTH',
  'IDLE',
  'BODY',
  'TLS',
  'ALIASES',
];

/** What most services do without: shown where one has it. */
const RARE_COLUMNS: readonly {
  readonly heading: string;
  readonly none: string;
  readonly text: (service: Service) => string;
}[] = [
  { heading: 'RATE', none: 'any', text: ({ rates }) => ratesText(rates) || 'any' },
  { heading: 'BALANCE', none: 'least-load', text: ({ balance }) => balanceText(balance) },
  { heading: 'MIRROR', none: 'off', text: mirrorText },
  { heading: 'COMPRESS', none: 'off', text: compressText },
];

/** The sources of the settings to report. */
export interface ReportSources {
  readonly env: NodeJS.ProcessEnv;
  readonly dotenv: NodeJS.Dict<string>;
  readonly readFile?: ReadFile;
  /** Makes headings stand out. Default: they do not. */
  readonly emphasis?: (text: string) => string;
}

/**
 * The effective settings and services as aligned text, secrets masked.
 *
 * @throws {SettingsError} listing everything that is wrong
 */
export function reportSettings({
  env,
  dotenv,
  readFile = readTextFile,
  emphasis = (text) => text,
}: ReportSources): string {
  const merged = readEnvironment(env, dotenv);
  const settings = loadSettings(merged, readFile);
  const sources = { env, dotenv, readFile };
  const rows = listVariables().map(([field]) => {
    const { name, value, source } = variableValue(field, sources, settings);
    return [name, value, source];
  });
  const { written } = readGatewayFile({ path: settings.gatewayFile, env: merged, readFile });
  return [
    headed(align([SETTING_COLUMNS, ...rows]), emphasis),
    `Shared state: ${storePlace(settings)}\n`,
    headed(serviceTable(settings.services), emphasis),
    ...(allRoutes(settings).length > 0 ? [headed(routeTable(settings, written), emphasis)] : []),
    ...settingsWarnings({ env, dotenv, settings }).map((warning) => `Warning: ${warning}\n`),
  ].join('\n');
}

/** A table with its first line emphasised. */
function headed(table: string, emphasis: (text: string) => string): string {
  const end = table.indexOf('\n');
  return emphasis(table.slice(0, end)) + table.slice(end);
}

function storePlace({ redisUrl, redisNodes, dataDir }: Settings): string {
  if (redisUrl !== undefined) return maskCredentials(redisUrl);
  if (redisNodes.length === 0) return `embedded, in ${dataDir}`;
  return redisNodes.map(({ name, url }) => `${name} at ${maskCredentials(url)}`).join(', ');
}

function serviceTable(services: readonly Service[]): string {
  const rare = RARE_COLUMNS.filter(({ none, text }) => services.some((service) => text(service) !== none));
  const rows = services.map((service) => [...serviceRow(service), ...rare.map(({ text }) => text(service))]);
  return align([[...SERVICE_COLUMNS, ...rare.map(({ heading }) => heading)], ...rows]);
}

function serviceRow(service: Service): string[] {
  return [
    service.name,
    service.path,
    upstreamTexts(service).join(' ') || '(from the registry)',
    String(service.concurrency),
    String(service.streams),
    formatDuration(service.requestTimeoutMs),
    ttlText(service.cacheTtlMs),
    service.stripPrefix ? 'cut' : 'kept',
    service.breaker ? 'on' : 'off',
    healthText(service),
    authText(service.auth),
    formatDuration(service.idleTimeoutMs),
    bytesText(service.maxBodyBytes),
    tlsText(service),
    service.aliases.join(' '),
  ];
}

/** Runs the command; gives its exit code. */
function main(args: string[]): number {
  try {
    const { values } = parseArgs({ args, options: { help: { type: 'boolean', short: 'h' } } });
    const emphasis = (text: string) => styleText('bold', text, { stream: process.stdout });
    const report = () => reportSettings({ env: process.env, dotenv: readDotenv(), emphasis });
    process.stdout.write(values.help ? USAGE : report());
    return 0;
  } catch (error) {
    const isUsage = reasonOf(error).startsWith('ERR_PARSE_ARGS');
    if (!(error instanceof SettingsError) && !(error instanceof TypeError && isUsage)) throw error;
    process.stderr.write(`${error.message}\n${isUsage ? `\n${USAGE}` : ''}`);
    return 1;
  }
}

if (import.meta.main) process.exitCode = main(process.argv.slice(2));
