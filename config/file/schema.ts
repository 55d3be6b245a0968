import { z } from 'zod';
import { upstreamUrl } from '../kinds/addresses.ts';
import { type Kind, kind } from '../kinds/kinds.ts';
import { routeBreaker } from '../policies/breaker.ts';
import { POLICIES } from '../policies/policies.ts';
import { FLAG, OBJECT } from '../policies/policy.ts';
import { actionShape } from '../routes/actions.ts';
import { matchSchema } from '../routes/match.ts';
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

const routeName: Kind<string> = kind('a name of up to 64 letters, digits and ._/:-', (given) =>
  /^[\w./:-]{1,64}$/.test(given) ? given : undefined,
);

const MAX_WEIGHT = 1000;
const WEIGHT = { error: `a whole number from 0 to ${MAX_WEIGHT}` };

/** One of `upstreams`. */
export const upstreamSchema = z.union(
  [
    upstreamUrl.schema,
    z.strictObject({
      url: upstreamUrl.schema.describe('Where it is: http://budgeting-service:8087.'),
      weight: z
        .int(WEIGHT)
        .min(0, WEIGHT)
        .max(MAX_WEIGHT, WEIGHT)
        .optional()
        .describe('Its part of the requests. 0: none as long as another can take them. Default: 1.'),
    }),
  ],
  { error: upstreamUrl.accepted },
);

/** What every level may say but what is taken out here: each policy stands somewhere. */
const { health, tls, token, mirror, ...policies } = optionalPolicies();

/** What only these may say: routes of a service share its replicas and the connections to them. */
const ofServices = { ...policies, health, tls };

const ofRoutes = {
  name: routeName.schema.optional().describe('What it is called in metrics, logs and errors.'),
  match: matchSchema.describe('Which requests it is for.'),
  ...actionShape,
  ...policies,
  token,
  mirror,
  breaker: routeBreaker.optional(),
};

const ROUTE = { error: 'an object with a match' };

const routeSchema = z.strictObject(ofRoutes, ROUTE);

/** One of the routes beside the services. */
export const freeRouteSchema = z.strictObject(
  {
    ...ofRoutes,
    service: z
      .string({ error: 'the name of a service' })
      .optional()
      .describe('Which service gets the requests.'),
  },
  ROUTE,
);

/** One of `services`. */
export const serviceSchema = z.strictObject(
  {
    name: serviceName.schema.describe('The name that it has in the registry.'),
    path: servicePath.schema.describe('The first segment of its public paths: /budgeting.'),
    upstreams: z
      .array(upstreamSchema, { error: 'a list of addresses' })
      .optional()
      .describe(
        'Where it is when no registry says so: http://budgeting-service:8087. A path goes before every path there.',
      ),
    aliases: z
      .array(serviceName.schema, { error: 'a list of names' })
      .optional()
      .describe('Other names that registries use for it.'),
    stripPrefix: z
      .boolean(FLAG)
      .optional()
      .describe('Whether /budgeting/api/x reaches it as /api/x. Default: true.'),
    ...ofServices,
    mirror,
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
      .strictObject(ofServices, OBJECT)
      .optional()
      .describe('What every service has that does not say otherwise.'),
    services: z
      .array(serviceSchema, { error: 'a list of services' })
      .min(1, { error: 'at least one service' })
      .optional()
      .describe('The services. Without this list: the ten built-in ones.'),
    routes: z
      .array(freeRouteSchema, { error: 'a list of routes' })
      .optional()
      .describe('Routes of any host and depth. The most specific counts; their order does not.'),
  },
  { error: 'an object such as { services: [...] }' },
);

/** As it is written down. */
export type GatewayFileInput = z.input<typeof fileSchema>;
/** A service as it is written down. */
export type ServiceInput = z.input<typeof serviceSchema>;
/** As it is understood. */
export type GatewayFileData = z.output<typeof fileSchema>;
export type ServiceData = z.output<typeof serviceSchema>;
export type RouteData = z.output<typeof routeSchema>;
export type FreeRouteData = z.output<typeof freeRouteSchema>;

type Policies = typeof POLICIES;

/** The schema of each policy, which a level may leave out. */
function optionalPolicies() {
  const schemas = Object.entries(POLICIES).map(([name, { schema }]) => [name, schema.optional()]);
  return Object.fromEntries(schemas) as {
    readonly [Name in keyof Policies]: z.ZodOptional<Policies[Name]['schema']>;
  };
}
