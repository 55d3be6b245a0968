import {
  type Command,
  choice,
  type Flag,
  FlagError,
  type FlagValues,
  nameAmong,
  onOff,
  parseCommand,
} from '../config/commandLine/flags.ts';
import { SERVICE_NAMES, type ServiceName } from './catalogue.ts';
import {
  DEFAULT_REGISTRY_FORM,
  REGISTRY_FORMS,
  REGISTRY_FORMS_HELP,
  type RegistryForm,
} from './registry/forms.ts';

const DEFAULT_REDIS_URL = 'redis://127.0.0.1:6379';
const MAX_PORT = 65_535;
export const DEFAULT_REGISTRY_PORT = 9000;
const MAX_REPLICAS = 20;

const redisUrl: Flag<string | undefined> = {
  shown: 'URL',
  help: `keep the gateway's shared state in a Redis that runs already, by default
${DEFAULT_REDIS_URL}; without this flag the gateway uses its embedded store`,
  read(name, given) {
    const value = given.at(-1);
    if (value === undefined || /^rediss?:$/.test(URL.parse(value)?.protocol ?? '')) return value;
    throw new FlagError(`--${name} must be a URL such as ${DEFAULT_REDIS_URL}, got ${JSON.stringify(value)}`);
  },
};

const flags = {
  only: listed(
    'budgeting,sharing',
    `run just these services, each on its usual port; repeat it or separate by commas.
The gateway answers 404 for the others`,
  ),
  replicas: listed(
    'budgeting=3',
    `how many replicas of a service to run, 1..${MAX_REPLICAS}; repeat it or separate by commas.
Extra replicas take the next free ports from 20 above the base port (8100) up`,
  ),
  redis: redisUrl,
  externalPort: port(8000, "the gateway's port for users"),
  internalPort: port(8001, "the gateway's port for services"),
  pagePort: port(8070, 'the port of the page that tries the gateway in a browser'),
  registryPort: port(DEFAULT_REGISTRY_PORT, "the service registry's port"),
  registryForm: registryForm(),
  basePort: port(8080, "the first service's port; the other nine have the following ones", {
    // The others have to fit above it.
    max: MAX_PORT - SERVICE_NAMES.length + 1,
  }),
  noGateway: onOff('services and registry only'),
};

/** `npm run playground`. */
export const PLAYGROUND_COMMAND: Command<typeof flags> = {
  about:
    'Runs the ten services, a service registry, the gateway and a page that tries it in a browser, all on loopback, until Ctrl-C.',
  usage: ['npm run playground --', 'node playground/main.ts'],
  flags,
  notes: `Port 0 is any free port; --base-port 0 gives every replica one. --redis needs no URL.
Environment variables reach the gateway: REQUEST_TIMEOUT=1s npm run playground. A file .env does not reach anything
here, nor does what the environment says of a Redis (REDIS_URL, REDIS_HOST, REDIS_NODES) or of a registry.
JWT_SECRET and DATA_DIR are made up for each run unless they are set.

Services: ${SERVICE_NAMES.join(' ')}`,
};

/** What the playground was asked to do. Port 0 is any free port. */
export interface Flags
  extends Pick<
    FlagValues<typeof flags>,
    'help' | 'externalPort' | 'internalPort' | 'pagePort' | 'registryPort' | 'registryForm' | 'basePort'
  > {
  readonly gateway: boolean;
  /** Replicas of each service: 0 where `--only` leaves it out, else 1 where the flags say nothing. */
  readonly replicas: Readonly<Record<ServiceName, number>>;
  /** Missing: the embedded store. */
  readonly redisUrl?: string;
}

/** Throws `FlagError`. */
export function parseFlags(args: readonly string[]): Flags {
  // parseArgs knows no option whose value may be left out.
  const whole = args.map((arg) => (arg === '--redis' ? `--redis=${DEFAULT_REDIS_URL}` : arg));
  const { only, replicas, redis, noGateway, ...rest } = parseCommand(PLAYGROUND_COMMAND, whole).values;
  return {
    ...rest,
    gateway: !noGateway,
    replicas: replicaCounts(only, replicas),
    ...(redis !== undefined && { redisUrl: redis }),
  };
}

/** A port, 0 for any free one; without a standard it has to be given. Also for the single services and the registry. */
export function port(standard: number | undefined, help: string, { max = MAX_PORT } = {}): Flag<number> {
  return {
    shown: standard === undefined ? 'PORT' : String(standard),
    help,
    read(name, given) {
      const value = given.at(-1) ?? String(standard ?? '');
      const number = /^\d{1,5}$/.test(value) ? Number(value) : Number.NaN;
      if (number <= max) return number;
      throw new FlagError(
        `--${name} must be a port from 0 (any free one) to ${max}, got ${JSON.stringify(value)}`,
      );
    },
  };
}

/** Which release of the stack's registry it is. Also for the registry alone. */
export function registryForm(): Flag<RegistryForm> {
  return choice(
    DEFAULT_REGISTRY_FORM,
    REGISTRY_FORMS,
    `which release of the stack's registry it is, ${REGISTRY_FORMS.join(' or ')}; the gateway finds out.\n${REGISTRY_FORMS_HELP}`,
  );
}

function listed(shown: string, help: string): Flag<readonly string[]> {
  return { shown, help, read: (_name, given) => given };
}

function replicaCounts(only: readonly string[], replicas: readonly string[]): Record<ServiceName, number> {
  const running =
    only.length > 0
      ? separated(only).map((name) => nameAmong('only', name, SERVICE_NAMES, 'service'))
      : SERVICE_NAMES;
  const counts = Object.fromEntries(
    SERVICE_NAMES.map((name) => [name, running.includes(name) ? 1 : 0]),
  ) as Record<ServiceName, number>;
  for (const part of separated(replicas)) {
    const [, text = part, count = ''] = /^(.*?)=(.*)$/.exec(part) ?? [];
    const name = nameAmong('replicas', text, SERVICE_NAMES, 'service');
    if (!/^\d{1,2}$/.test(count) || Number(count) < 1 || Number(count) > MAX_REPLICAS) {
      const form = `--replicas must look like ${name}=3, with 1 to ${MAX_REPLICAS}`;
      throw new FlagError(`${form}, got ${JSON.stringify(part)}`);
    }
    if (counts[name] === 0) throw new FlagError(`--replicas names ${name}, which --only leaves out`);
    counts[name] = Number(count);
  }
  return counts;
}

/** What a repeatable flag lists, whichever way. */
function separated(values: readonly string[]): string[] {
  return values.flatMap((value) => value.split(','));
}
