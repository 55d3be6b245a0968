import { z } from 'zod';
import { parsePattern } from '../../lib/routing/pattern.ts';
import { host, origin } from '../kinds/addresses.ts';
import { bytes, duration, durationOrZero, type Kind, kind, MAX_COUNT } from '../kinds/kinds.ts';
import { RESERVED_SEGMENTS } from '../sections/services.ts';

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

/** A field that routes may go by: of the others the gateway itself, or the host, says more. */
const FIELD = { error: 'the name of a field in lower case, other than host' };
const fieldName = z.string(FIELD).regex(/^(?!host$)[a-z0-9!#$%&'*+.^_`|~-]+$/, FIELD);

const OBJECT = { error: 'an object' };
const FLAG = { error: 'true or false' };

/** Settings that services inherit. Each is optional, and says what it is for editors. */
const shared = {
  timeouts: z
    .strictObject(
      {
        request: duration.schema.optional().describe('From a request to the start of its response: 3s.'),
        idle: duration.schema.optional().describe('Longest silence within a response: 10s.'),
      },
      OBJECT,
    )
    .optional()
    .describe('How long the gateway waits for the service.'),
  limits: z
    .strictObject(
      {
        concurrency: count(1).optional().describe('Requests of users under way at a time.'),
        streams: count(0).optional().describe('Streams of users open at a time.'),
        body: textOrNumber(bytes(0)).optional().describe("Largest request content: 10MiB. '0': no limit."),
      },
      OBJECT,
    )
    .optional()
    .describe('How much users may ask of the service.'),
  cache: offOr({
    ttl: textOrNumber(durationOrZero)
      .optional()
      .describe(
        "How long a response is kept that does not say so itself: 30s. '0': only one that says so is.",
      ),
    shared: z
      .boolean(FLAG)
      .optional()
      .describe('Whether users share responses that say public or s-maxage. Default: true.'),
  })
    .optional()
    .describe('Responses to GET that are kept.'),
  breaker: z
    .union([z.literal('off'), z.boolean()], { error: 'off, true or false' })
    .optional()
    .describe('Whether replicas that fail are left alone for a while. Default: true.'),
};

const routePath: Kind<string> = kind(
  'a path such as /catalog/* or /admin/**',
  (given) => (parsable(given) ? given : undefined),
  whyNot,
);

const hostPattern: Kind<string> = kind(
  'a host such as api.faf.example or *.faf.example, without a port',
  (given) => (host.schema.safeParse(given.replace(/^\*\./, '')).success ? given.toLowerCase() : undefined),
);

const METHODS = { error: 'a list of methods in upper case, such as [GET, POST]' };

const auth = z
  .enum(['required', 'optional', 'none'], { error: 'required, optional or none' })
  .optional()
  .describe('Whether users must say who they are. Default: required.');

const matchSchema = z.strictObject(
  {
    path: routePath.schema.describe(
      "Below the service's path: * is one segment, ** the rest, :name one segment.",
    ),
    methods: z
      .array(z.string(METHODS).regex(/^[A-Z][A-Z-]*$/, METHODS), METHODS)
      .min(1, METHODS)
      .optional()
      .describe('GET is HEAD, too. Default: all.'),
    host: hostPattern.schema
      .optional()
      .describe('api.faf.example, or *.faf.example for all below it. Default: any.'),
    headers: z
      .record(fieldName, z.string({ error: 'a text' }), { error: 'an object of fields and their values' })
      .optional()
      .describe('Fields that the request must have, each with its whole value.'),
    priority: z
      .int({ error: 'a whole number' })
      .optional()
      .describe('Decides between routes that are equal otherwise.'),
  },
  { error: 'an object with a path' },
);

const routeSchema = z.strictObject(
  {
    match: matchSchema.describe('Which requests it is for.'),
    auth,
    timeouts: shared.timeouts,
    limits: z
      .strictObject(
        {
          body: textOrNumber(bytes(0)).optional().describe("Largest request content: 10MiB. '0': no limit."),
        },
        OBJECT,
      )
      .optional()
      .describe('How much users may ask.'),
    cache: shared.cache,
  },
  { error: 'an object with a match' },
);

/** One of `services`. */
export const serviceSchema = z.strictObject(
  {
    name: serviceName.schema.describe('The name that it has in the registry.'),
    path: servicePath.schema.describe('The first segment of its public paths: /budgeting.'),
    upstreams: z
      .array(origin.schema, { error: 'a list of origins' })
      .optional()
      .describe('Where it is when no registry says so: http://budgeting-service:8087.'),
    aliases: z
      .array(serviceName.schema, { error: 'a list of names' })
      .optional()
      .describe('Other names that registries use for it.'),
    stripPrefix: z
      .boolean(FLAG)
      .optional()
      .describe('Whether /budgeting/api/x reaches it as /api/x. Default: true.'),
    auth,
    ...shared,
    routes: z
      .array(routeSchema, { error: 'a list of routes' })
      .optional()
      .describe('What differs for some requests of users. The most specific counts; their order does not.'),
  },
  { error: 'an object with a name and a path' },
);

/** What a GATEWAY_FILE holds, in all three formats. */
export const fileSchema = z.strictObject(
  {
    $schema: z.string({ error: 'the address of a JSON Schema' }).optional().describe('For editors.'),
    defaults: z
      .strictObject(shared, OBJECT)
      .optional()
      .describe('What every service has that does not say otherwise.'),
    services: z
      .array(serviceSchema, { error: 'a list of services' })
      .min(1, { error: 'at least one service' })
      .optional()
      .describe('The services. Without this list: the ten built-in ones.'),
  },
  { error: 'an object such as { services: [...] }' },
);

/** As it is written down. */
export type GatewayFileInput = z.input<typeof fileSchema>;
/** A route as it is written down. */
export type RouteInput = z.input<typeof routeSchema>;
/** As it is understood. */
export type GatewayFileData = z.output<typeof fileSchema>;
export type ServiceData = z.output<typeof serviceSchema>;
export type RouteData = z.output<typeof routeSchema>;
/** What `defaults` and services have in common. */
export type SharedData = Pick<ServiceData, keyof typeof shared>;

function count(min: 0 | 1) {
  const error = { error: `a whole number from ${min} to ${MAX_COUNT}` };
  return z.int(error).min(min, error).max(MAX_COUNT, error);
}

/** A kind whose text may also be written as a number. */
function textOrNumber<T>({ accepted, schema }: Kind<T>) {
  return z.union([z.string(), z.number()], { error: accepted }).transform(String).pipe(schema);
}

/** Either not there at all, or with settings of its own. */
function offOr<Shape extends z.ZodRawShape>(shape: Shape) {
  return z.union([z.literal('off'), z.literal(false), z.strictObject(shape)], { error: 'off or an object' });
}

function parsable(path: string): boolean {
  return whyNot(path) === undefined;
}

/** What a path that is no pattern should be. */
function whyNot(path: string): string | undefined {
  try {
    parsePattern(path);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}
