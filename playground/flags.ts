import { parseArgs } from 'node:util';
import { suggest } from '../config/report/suggest.ts';
import { isServiceName, SERVICE_NAMES, type ServiceName } from './catalogue.ts';
import {
  DEFAULT_REGISTRY_FORM,
  isRegistryForm,
  REGISTRY_FORMS,
  REGISTRY_FORMS_HELP,
  type RegistryForm,
} from './registry/forms.ts';

const DEFAULT_REDIS_URL = 'redis://127.0.0.1:6379';
const MAX_PORT = 65_535;
export const DEFAULT_REGISTRY_PORT = 9000;
const MAX_REPLICAS = 20;

export const HELP = `Runs the ten services, a service registry and the gateway, all on loopback, until Ctrl-C.

Usage: npm run playground -- [flags]      or      node playground/main.ts [flags]

  --only budgeting,sharing run just these services, each on its usual port; repeat it or separate by commas.
                           The gateway answers 404 for the others
  --replicas budgeting=3   how many replicas of a service to run, 1..${MAX_REPLICAS}; repeat it or separate by commas.
                           Extra replicas take the next free ports from 20 above the base port (8100) up
  --redis[=url]            keep the gateway's shared state in a Redis that runs already, by default
                           ${DEFAULT_REDIS_URL}; without this flag the gateway uses its embedded store
  --external-port 8000     the gateway's port for users
  --internal-port 8001     the gateway's port for services
  --registry-port ${DEFAULT_REGISTRY_PORT}     the service registry's port
  --registry-form ${DEFAULT_REGISTRY_FORM}    which release of the stack's registry it is, ${REGISTRY_FORMS.join(' or ')}; the gateway finds out.
${indented(REGISTRY_FORMS_HELP)}
  --base-port 8080         the first service's port; the other nine have the following ones
  --no-gateway             services and registry only
  --help                   this text

Port 0 is any free port; --base-port 0 gives every replica one.
Environment variables reach the gateway: REQUEST_TIMEOUT=1s npm run playground. A file .env does not reach anything
here, nor does what the environment says of a Redis (REDIS_URL, REDIS_HOST, REDIS_NODES) or of a registry.
JWT_SECRET and DATA_DIR are made up for each run unless they are set.

Services: ${SERVICE_NAMES.join(' ')}`;

/** What the playground was asked to do. Port 0 is any free port. */
export interface Flags {
  readonly help: boolean;
  readonly gateway: boolean;
  readonly externalPort: number;
  readonly internalPort: number;
  readonly registryPort: number;
  readonly registryForm: RegistryForm;
  readonly basePort: number;
  /** Replicas of each service: 0 where `--only` leaves it out, else 1 where the flags say nothing. */
  readonly replicas: Readonly<Record<ServiceName, number>>;
  /** Missing: the embedded store. */
  readonly redisUrl?: string;
}

/** A flag or another word of a command that cannot be understood; the message says what is accepted. */
export class FlagError extends Error {
  override readonly name = 'FlagError';
}

/** Throws `FlagError`. */
export function parseFlags(args: readonly string[]): Flags {
  const values = readArgs(args);
  return {
    help: values.help,
    gateway: !values['no-gateway'],
    externalPort: portFlag('external-port', values['external-port']),
    internalPort: portFlag('internal-port', values['internal-port']),
    registryPort: portFlag('registry-port', values['registry-port']),
    registryForm: registryFormFlag(values['registry-form']),
    basePort: portFlag('base-port', values['base-port'], MAX_PORT - SERVICE_NAMES.length + 1),
    replicas: replicaCounts(values.only, values.replicas),
    ...(values.redis !== undefined && { redisUrl: redisFlag(values.redis) }),
  };
}

function readArgs(args: readonly string[]) {
  try {
    return parseArgs({
      // parseArgs knows no option whose value may be left out.
      args: args.map((arg) => (arg === '--redis' ? `--redis=${DEFAULT_REDIS_URL}` : arg)),
      options: {
        help: { type: 'boolean', short: 'h', default: false },
        'no-gateway': { type: 'boolean', default: false },
        'external-port': { type: 'string', default: '8000' },
        'internal-port': { type: 'string', default: '8001' },
        'registry-port': { type: 'string', default: String(DEFAULT_REGISTRY_PORT) },
        'registry-form': { type: 'string', default: DEFAULT_REGISTRY_FORM },
        'base-port': { type: 'string', default: '8080' },
        only: { type: 'string', multiple: true, default: [] },
        replicas: { type: 'string', multiple: true, default: [] },
        redis: { type: 'string' },
      },
    }).values;
  } catch (error) {
    throw new FlagError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

/** Also used by the single services, for their `--port`. */
export function portFlag(name: string, value: string, maximum = MAX_PORT): number {
  const port = /^\d{1,5}$/.test(value) ? Number(value) : Number.NaN;
  if (port <= maximum) return port;
  throw new FlagError(
    `--${name} must be a port from 0 (any free one) to ${maximum}, got ${JSON.stringify(value)}`,
  );
}

/** Also used by the registry alone. */
export function registryFormFlag(value: string): RegistryForm {
  if (isRegistryForm(value)) return value;
  throw new FlagError(`--registry-form must be ${REGISTRY_FORMS.join(' or ')}, got ${JSON.stringify(value)}`);
}

function redisFlag(value: string): string {
  if (/^rediss?:$/.test(URL.parse(value)?.protocol ?? '')) return value;
  throw new FlagError(`--redis must be a URL such as ${DEFAULT_REDIS_URL}, got ${JSON.stringify(value)}`);
}

function replicaCounts(only: readonly string[], replicas: readonly string[]): Record<ServiceName, number> {
  const running =
    only.length > 0 ? separated(only).map((name) => serviceNamed('--only', name)) : SERVICE_NAMES;
  const counts = Object.fromEntries(
    SERVICE_NAMES.map((name) => [name, running.includes(name) ? 1 : 0]),
  ) as Record<ServiceName, number>;
  for (const part of separated(replicas)) {
    const [, text = part, count = ''] = /^(.*?)=(.*)$/.exec(part) ?? [];
    const name = serviceNamed('--replicas', text);
    if (!/^\d{1,2}$/.test(count) || Number(count) < 1 || Number(count) > MAX_REPLICAS) {
      const form = `--replicas must look like ${name}=3, with 1 to ${MAX_REPLICAS}`;
      throw new FlagError(`${form}, got ${JSON.stringify(part)}`);
    }
    if (counts[name] === 0) throw new FlagError(`--replicas names ${name}, which --only leaves out`);
    counts[name] = Number(count);
  }
  return counts;
}

/** Below the flag that it belongs to. */
function indented(text: string): string {
  return text.replaceAll(/^/gm, ' '.repeat(27));
}

/** What a repeatable flag lists, whichever way. */
function separated(values: readonly string[]): string[] {
  return values.flatMap((value) => value.split(','));
}

function serviceNamed(flag: string, name: string): ServiceName {
  if (isServiceName(name)) return name;
  const meant = suggest(name, SERVICE_NAMES);
  const hint = meant ? ` (did you mean ${meant}?)` : '';
  throw new FlagError(
    `${flag} knows no service ${JSON.stringify(name)}${hint}; the services are ${SERVICE_NAMES.join(', ')}`,
  );
}
