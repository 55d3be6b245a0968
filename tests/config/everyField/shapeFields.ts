import type { Route, Service } from '../../../config/sections/services.ts';
import type { Level } from './leaves.ts';

/** One field that only its own level has, so that nothing inherits it. */
export interface ShapeField {
  readonly field: string;
  /** Where it is said; left out: wherever the schema has it. */
  readonly levels?: readonly Level[];
  /** Beside what a service or route needs anyway, or in its place. */
  readonly says: object;
  readonly read: (held: Service & Route) => unknown;
  readonly holds: unknown;
  readonly refused: readonly [says: object, problem: string];
}

const match = (more: object) => ({ match: { path: '/m', ...more } });
const halves = [
  { service: 'a', weight: 90 },
  { service: 'b', weight: 10 },
];
const split = (more: object) => ({ service: undefined, split: [{ ...halves[0], ...more }, halves[1]] });
const redirect = (more: object) => ({ service: undefined, redirect: { to: '/new', ...more } });
const respond = (more: object) => ({ service: undefined, respond: { status: 503, ...more } });

const ofServices: readonly ShapeField[] = [
  {
    field: 'name',
    levels: ['service'],
    says: { name: 'c' },
    read: ({ name }) => name,
    holds: 'c',
    refused: [{ name: 'a b' }, 'name is "a b": expected a name of letters, digits, dots, dashes'],
  },
  {
    field: 'path',
    says: { path: '/c' },
    read: ({ path }) => path,
    holds: '/c',
    refused: [{ path: '/admin' }, 'path is "/admin": expected a slash and one segment'],
  },
  {
    field: 'upstreams',
    says: { upstreams: ['https://one:8443'] },
    read: ({ upstreams }) => upstreams,
    holds: ['https://one:8443'],
    refused: [{ upstreams: ['one:80'] }, 'upstreams[0] is "one:80": expected an address'],
  },
  {
    field: 'upstreams.url',
    says: { upstreams: [{ url: 'https://one/base' }] },
    read: ({ upstreams, basePath }) => [upstreams, basePath],
    holds: [['https://one'], '/base'],
    refused: [{ upstreams: [{ url: 'one' }] }, 'upstreams[0].url is "one": expected an address'],
  },
  {
    field: 'upstreams.weight',
    says: { upstreams: [{ url: 'https://one', weight: 3 }, 'https://two'] },
    read: ({ weights }) => weights,
    holds: { 'https://one': 3 },
    refused: [
      { upstreams: [{ url: 'https://one', weight: -1 }] },
      'upstreams[0].weight is -1: expected a whole number from 0 to 1000',
    ],
  },
  {
    field: 'aliases',
    says: { aliases: ['a-service'] },
    read: ({ aliases }) => aliases,
    holds: ['a-service'],
    refused: [{ aliases: ['a/b'] }, 'aliases[0] is "a/b": expected a name'],
  },
  {
    field: 'stripPrefix',
    says: { stripPrefix: false },
    read: ({ stripPrefix, routes }) => [
      stripPrefix,
      routes.map(({ action }) => 'cut' in action && action.cut),
    ],
    holds: [false, ['', '']],
    refused: [{ stripPrefix: 'no' }, 'stripPrefix is "no": expected true or false'],
  },
];

const ofMatches: readonly ShapeField[] = [
  {
    field: 'match.path',
    says: { match: { path: '/m/:id' } },
    read: (route) => route.match.path.replace(/^\/a/, ''),
    holds: '/m/:id',
    refused: [{ match: { path: 'm' } }, 'match.path is "m": expected '],
  },
  {
    field: 'match.methods',
    says: match({ methods: ['GET', 'POST'] }),
    read: (route) => route.match.methods,
    holds: ['GET', 'POST'],
    refused: [
      match({ methods: ['get'] }),
      'match.methods[0] is "get": expected a list of methods in upper case',
    ],
  },
  {
    field: 'match.host',
    says: match({ host: '*.FAF.example' }),
    read: (route) => route.match.host,
    holds: '*.faf.example',
    refused: [match({ host: 'a.example:80' }), 'match.host is "a.example:80": expected a host such as'],
  },
  {
    field: 'match.headers',
    says: match({ headers: { 'x-version': '2' } }),
    read: (route) => route.match.headers,
    holds: { 'x-version': '2' },
    refused: [match({ headers: { 'x-version': 2 } }), 'match.headers.x-version is 2: expected a text'],
  },
  {
    field: 'match.priority',
    says: match({ priority: 3 }),
    read: (route) => route.match.priority,
    holds: 3,
    refused: [match({ priority: 0.5 }), 'match.priority is 0.5: expected a whole number'],
  },
];

const ofActions: readonly ShapeField[] = [
  {
    field: 'name',
    levels: ['route', 'free'],
    says: { name: 'orders' },
    read: ({ name }) => name,
    holds: 'orders',
    refused: [{ name: 'a b' }, 'name is "a b": expected a name of up to 64 letters'],
  },
  {
    field: 'service',
    says: { service: 'b' },
    read: ({ action }) => 'service' in action && action.service,
    holds: '/b',
    refused: [{ service: 'd' }, 'service is "d", which is no service'],
  },
  {
    field: 'rewrite',
    says: { match: { path: '/m/:id' }, rewrite: '/n/:id' },
    read: ({ action }) => 'rewrite' in action && action.rewrite,
    holds: '/n/:id',
    refused: [{ match: { path: '/m' }, rewrite: '/n/:id' }, 'rewrite is "/n/:id": expected '],
  },
  {
    field: 'split.service',
    says: split({}),
    read: ({ sides }) => sides?.map(({ service }) => service),
    holds: ['/a', '/b'],
    refused: [split({ service: 'd' }), 'split[0].service is "d", which is no service'],
  },
  {
    field: 'split.weight',
    says: split({ weight: 7.5 }),
    read: ({ sides }) => sides?.map(({ weight }) => weight),
    holds: [7.5, 10],
    refused: [split({ weight: -1 }), 'split[0].weight is -1: expected a number from 0'],
  },
  {
    field: 'redirect.to',
    says: redirect({ to: 'https://faf.example/new' }),
    read: ({ action }) => 'to' in action && action.to,
    holds: 'https://faf.example/new',
    refused: [redirect({ to: 'new' }), 'redirect.to is "new": expected a path such as'],
  },
  {
    field: 'redirect.status',
    says: redirect({ status: 308 }),
    read: ({ action }) => 'to' in action && action.status,
    holds: 308,
    refused: [redirect({ status: 304 }), 'redirect.status is 304: expected 301, 302, 303, 307 or 308'],
  },
  {
    field: 'respond.status',
    says: respond({ status: 418 }),
    read: ({ action }) => action.kind === 'respond' && action.status,
    holds: 418,
    refused: [respond({ status: 100 }), 'respond.status is 100: expected a status from 200 to 599'],
  },
  {
    field: 'respond.body',
    says: respond({ body: { error: ['Back at noon', null, 12] } }),
    read: ({ action }) => action.kind === 'respond' && action.body,
    holds: { error: ['Back at noon', null, 12] },
    refused: [respond({ status: 204, body: 'x' }), 'respond.body '],
  },
  {
    field: 'respond.retryAfter',
    says: respond({ retryAfter: '10m' }),
    read: ({ action }) => action.kind === 'respond' && action.retryAfterSeconds,
    holds: 600,
    refused: [respond({ retryAfter: 'soon' }), 'respond.retryAfter is "soon": expected a duration'],
  },
];

export const SHAPE_FIELDS: readonly ShapeField[] = [...ofServices, ...ofMatches, ...ofActions];
