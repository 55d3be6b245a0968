import { z } from 'zod';
import { foldName } from '../../lib/loadbalancer/registry/serviceNames.ts';
import { describeIssue } from '../json.ts';
import { origin } from '../kinds/addresses.ts';
import { duration, durationOrOff, type Kind, kind, MAX_COUNT } from '../kinds/kinds.ts';
import { quote, reasonOf } from '../report/problems.ts';
import type { ReadFile } from '../values.ts';
import { RESERVED_SEGMENTS, type ServiceDefinition } from './services.ts';

/** The valid services of a file, and the problems of the others. */
export interface ServicesReading {
  readonly definitions: readonly ServiceDefinition[];
  readonly problems: readonly string[];
}

const BREAKER = { error: 'true, false or "off"' };
const CONCURRENCY = { error: `a whole number from 1 to ${MAX_COUNT}` };
const STREAMS = { error: `a whole number from 0 to ${MAX_COUNT}` };

const serviceName: Kind<string> = kind('a name of letters, digits, dots, dashes and underscores', (given) =>
  /^[a-z0-9][a-z0-9._-]*$/i.test(given) ? given : undefined,
);

const servicePath: Kind<string> = kind(
  `a slash and one segment, such as /budgeting, other than ${RESERVED_SEGMENTS.join(', ')}`,
  (given) => {
    const segment = /^\/([a-z0-9._~-]+)$/i.exec(given)?.[1];
    const unusable = segment === undefined || ['.', '..', ...RESERVED_SEGMENTS].includes(segment);
    return unusable ? undefined : given;
  },
);

const serviceSchema = z.strictObject(
  {
    name: serviceName.schema,
    path: servicePath.schema,
    upstreams: z.array(origin.schema, { error: 'a list of origins' }).optional(),
    aliases: z.array(serviceName.schema, { error: 'a list of names' }).optional(),
    stripPrefix: z.boolean({ error: 'true or false' }).optional(),
    concurrency: z.int(CONCURRENCY).min(1, CONCURRENCY).max(MAX_COUNT, CONCURRENCY).optional(),
    streams: z.int(STREAMS).min(0, STREAMS).max(MAX_COUNT, STREAMS).optional(),
    requestTimeout: duration.schema.optional(),
    cacheTtl: durationOrOff.schema.optional(),
    cacheShared: z.boolean({ error: 'true or false' }).optional(),
    breaker: z.union([z.boolean(), z.literal('off')], BREAKER).optional(),
  },
  { error: 'an object with a name and a path' },
);

const fileSchema = z.strictObject(
  {
    services: z.array(z.unknown(), { error: 'a list of services' }).min(1, { error: 'at least one service' }),
  },
  { error: 'an object such as {"services": [...]}' },
);

/** Reads the file that SERVICES_FILE names. */
export function readServicesFile(path: string, readFile: ReadFile): ServicesReading {
  const json = readJson(path, readFile);
  if ('problem' in json) {
    return { definitions: [], problems: [`SERVICES_FILE is ${quote(path)}: expected ${json.problem}`] };
  }
  const { definitions, problems } = readServices(json.value);
  return { definitions, problems: problems.map((problem) => `${path}: ${problem}`) };
}

/**
 * A problem for each path, name and alias that two services have. An invalid service is a gap in the list. Names count as equal
 * when a registry's name could mean both of them, for example in another letter case.
 */
export function clashes(services: readonly (ServiceDefinition | undefined)[]): string[] {
  const owners = new Map<string, { readonly index: number; readonly value: string }>();
  const problems: string[] = [];
  for (const [index, service] of services.entries()) {
    for (const [key, value] of service ? claims(service) : []) {
      const claimed = key === 'path' ? value : foldName(value);
      const owner = owners.get(claimed) ?? { index, value };
      owners.set(claimed, owner);
      if (owner.index === index) continue;
      problems.push(
        `services[${index}].${key} is ${quote(value)}: expected another for ${service?.name}, since ` +
          `${services[owner.index]?.name} (services[${owner.index}]) has ${quote(owner.value)}`,
      );
    }
  }
  return problems;
}

/**
 * A problem for each upstream that a service lists twice: that gives it no greater share, since all replicas are equal.
 */
function doubles(services: readonly (ServiceDefinition | undefined)[]): string[] {
  return services.flatMap((service, index) => {
    const { upstreams = [] } = service ?? {};
    return upstreams.flatMap((upstream, at) => {
      const first = upstreams.indexOf(upstream);
      if (first === at) return [];
      const place = `services[${index}].upstreams`;
      return [`${place}[${at}] is ${quote(upstream)}: expected another, ${place}[${first}] is the same`];
    });
  });
}

function readServices(json: unknown): ServicesReading {
  const file = fileSchema.safeParse(json, { reportInput: true });
  if (!file.success) {
    return {
      definitions: [],
      problems: file.error.issues.flatMap((issue) => describeIssue(issue, [], ['services'])),
    };
  }
  const problems: string[] = [];
  const services = file.data.services.map((entry, index) => {
    const service = serviceSchema.safeParse(entry, { reportInput: true });
    if (service.success) return toDefinition(service.data);
    const keys = Object.keys(serviceSchema.shape);
    problems.push(
      ...service.error.issues.flatMap((issue) => describeIssue(issue, ['services', index], keys)),
    );
    return undefined;
  });
  const definitions = services.filter((service) => service !== undefined);
  return { definitions, problems: [...problems, ...clashes(services), ...doubles(services)] };
}

function toDefinition({
  requestTimeout,
  cacheTtl,
  breaker = true,
  ...rest
}: z.output<typeof serviceSchema>): ServiceDefinition {
  return { ...rest, requestTimeoutMs: requestTimeout, cacheTtlMs: cacheTtl, breaker: breaker === true };
}

function* claims({ path, name, aliases = [] }: ServiceDefinition): Generator<[key: string, value: string]> {
  yield ['path', path];
  yield ['name', name];
  for (const [index, alias] of aliases.entries()) yield [`aliases[${index}]`, alias];
}

function readJson(
  path: string,
  readFile: ReadFile,
): { readonly value: unknown } | { readonly problem: string } {
  let text: string;
  try {
    text = readFile(path);
  } catch (error) {
    return { problem: `a readable JSON file (${reasonOf(error)})` };
  }
  try {
    return { value: JSON.parse(text) };
  } catch (error) {
    // Only the position is shown: the message quotes the file, which may be the wrong one and contain secrets.
    const position = /line \d+ column \d+/.exec(String(error))?.[0];
    return { problem: `JSON${position ? `; it has a mistake at ${position}` : ''}` };
  }
}
