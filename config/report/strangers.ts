import { distance } from 'fastest-levenshtein';
import { settingMeantBy } from '../kinds/names.ts';
import { listVariables } from '../variables.ts';

/** Prefixes of names that are meant for a gateway, in addition to the first words of its own settings. */
const OWN_PREFIX = 'GATEWAY';
/** Prefixes of variables that Node and OpenTelemetry read, in any program. */
const OTHERS_PREFIXES: ReadonlySet<string> = new Set(['NODE', 'OTEL']);

/** Where to look for variables that seem to be meant for the gateway and are no settings. */
export interface StrangerSources {
  readonly env: NodeJS.ProcessEnv;
  readonly dotenv: NodeJS.Dict<string>;
}

/**
 * A sentence for each variable that is no setting and so has no effect. Of `.env`, which only the gateway reads, that is every
 * unknown name; of the environment only names that begin like settings or misspell one. Variables that container engines set
 * for other containers are ignored. No value is ever shown.
 */
export function strangersIn({ env, dotenv }: StrangerSources): string[] {
  const known = listVariables().map(([, { name }]) => name);
  const prefixes = new Set([OWN_PREFIX, ...known.map(prefixOf)].filter((word) => !OTHERS_PREFIXES.has(word)));
  const isStrange = (name: string) => !known.includes(name);
  const looksOurs = (name: string) =>
    (name.includes('_') && prefixes.has(prefixOf(name))) || settingMeantBy(name) !== undefined;

  const inFile = Object.keys(dotenv).filter(isStrange);
  const elsewhere = Object.keys(env).filter(
    (name) => !inFile.includes(name) && isStrange(name) && looksOurs(name) && !isInjected(name, env[name]),
  );
  const hint = (name: string) => (looksOurs(name) ? hintAt(name, known) : '');
  return [
    ...inFile.map((name) => `${name} in .env is not a setting of the gateway: it does nothing${hint(name)}`),
    ...elsewhere.map((name) => `${name} is not a setting of the gateway: it does nothing${hint(name)}`),
  ];
}

function hintAt(name: string, known: readonly string[]): string {
  const meant = settingMeantBy(name);
  return meant ? `; did you mean ${meant}?` : `; the nearest is ${nearestOf(name, known)}`;
}

function prefixOf(name: string): string {
  return name.split('_', 1)[0] as string;
}

/** The setting that has most words in common with the name; of several, the one with the smallest edit distance. */
function nearestOf(name: string, known: readonly string[]): string {
  const meant = name.startsWith(`${OWN_PREFIX}_`) ? name.slice(OWN_PREFIX.length + 1) : name;
  const words = new Set(meant.split('_'));
  const shared = (candidate: string) => candidate.split('_').filter((word) => words.has(word)).length;
  const isNearer = (one: string, other: string) => {
    const more = shared(one) - shared(other);
    return more === 0 ? distance(meant, one) < distance(meant, other) : more > 0;
  };
  return known.reduce((best, candidate) => (isNearer(candidate, best) ? candidate : best));
}

/** The address of another container, as Docker's links and Kubernetes write it. */
const ADDRESS = /^(tcp|udp|sctp):\/\//;
const INJECTED_NAMES: readonly RegExp[] = [
  // Kubernetes: REDIS_SERVICE_HOST, REDIS_SERVICE_PORT, REDIS_SERVICE_PORT_HTTP.
  /_SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)$/,
  // Both: REDIS_PORT_6379_TCP, with _ADDR, _PORT, _PROTO; for ranges of ports _START and _END.
  /_PORT_\d+_(TCP|UDP|SCTP)(_(ADDR|PORT|PROTO)(_(START|END))?|_(START|END))?$/,
  // Docker's links: the environment of the other container.
  /_ENV_[A-Za-z0-9_]+$/,
  // Of images: REDIS_VERSION, REDIS_DOWNLOAD_URL, REDIS_DOWNLOAD_SHA.
  /_(VERSION|DOWNLOAD_(URL|SHA\d*))$/,
];

/** Whether a container engine or an image has set the variable, so that it is not meant for the gateway. */
function isInjected(name: string, value = ''): boolean {
  if (INJECTED_NAMES.some((pattern) => pattern.test(name))) return true;
  // REDIS_PORT=tcp://172.17.0.2:6379, REDIS_NAME=/gateway/redis
  return (
    (name.endsWith('_PORT') && ADDRESS.test(value)) || (name.endsWith('_NAME') && /^\/[^/]+\//.test(value))
  );
}
