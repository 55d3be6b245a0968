import { type GatewayOptions, serviceEntry } from '../servers/servers.ts';
import type { Site } from '../servers/site.ts';
import { guardServices, type Mode } from './modes.ts';
import type { Side } from './pair.ts';

/** Two files of a gateway, and what is asked of both. */
export interface Comparison {
  readonly name: string;
  readonly title: string;
  /** The ratio that the second may cost at most. */
  readonly atMost: number;
  readonly files: (site: Site) => Readonly<Record<Side, GatewayOptions>>;
  readonly modes: readonly Mode[];
}

const ORIGIN = 'https://app.faf.example';
const FEW = 10;
const MANY = 10_000;

/** A response that no cache keeps, and one that it has, both by way of a route. */
const MODES: readonly Mode[] = [
  {
    name: 'forward',
    title: 'GET, 1 KiB, with a token, a response that must not be stored',
    request: { path: '/api/items/unstored', token: true },
    status: 200,
  },
  {
    name: 'hit',
    title: 'GET, 1 KiB, with a token, from the cache',
    request: { path: '/api/items/api/cached', token: true },
    status: 200,
    cache: 'HIT',
  },
];

const ROUTE = { service: 'budgeting', match: { path: '/api/items/**' }, rewrite: '/**' };

export const COMPARISONS: readonly Comparison[] = [
  {
    name: 'many',
    title: `${MANY} routes in place of ${FEW}`,
    atMost: 1.03,
    files: (site) => ({ before: withRoutes(site, others(FEW)), now: withRoutes(site, others(MANY)) }),
    modes: MODES,
  },
  {
    name: 'policies',
    title: 'a route with CORS, header rules and claims in place of one without',
    atMost: 1.25,
    files: (site) => ({ before: withRoutes(site, []), now: withRoutes(site, [], POLICIES) }),
    modes: MODES,
  },
  {
    name: 'rate',
    title: 'a route with a rate by claim in place of one without',
    atMost: 1.25,
    files: (site) => ({ before: withRoutes(site, []), now: withRoutes(site, [], RATE) }),
    modes: MODES,
  },
  {
    name: 'mirror',
    title: 'a route whose requests are all copied to another service in place of one without',
    atMost: 1.8,
    files: (site) => ({
      before: withCopies(site, {}),
      now: withCopies(site, { mirror: { service: 'copies' } }),
    }),
    modes: MODES.filter(({ name }) => name === 'forward'),
  },
];

export const COMPARISON_NAMES: readonly string[] = COMPARISONS.map(({ name }) => name);

const POLICIES = {
  cors: { origins: [ORIGIN], credentials: true },
  headers: {
    request: { set: { 'x-tenant': 'faf' }, remove: ['x-debug'] },
    response: { set: { 'x-frame-options': 'DENY' }, remove: ['server'] },
  },
  auth: { require: { claims: { role: ['user', 'admin'] } } },
};

/** So many that none is refused. */
const RATE = {
  limits: { rate: { per: 'identity', by: 'claim:plan', limits: { free: '10/1s', default: '1000000/1s' } } },
};

function withCopies(site: Site, policies: object): GatewayOptions {
  const { services = [], ...rest } = withRoutes(site, [], policies);
  return { ...rest, services: [...services, serviceEntry('/copies', [site.upstream])] };
}

function withRoutes(site: Site, routes: readonly object[], policies: object = {}): GatewayOptions {
  return { services: guardServices(site), file: { routes: [{ ...ROUTE, ...policies }, ...routes] } };
}

/** Routes that the request does not match, of several shapes, beside the one that it does. */
function others(count: number): object[] {
  return Array.from({ length: count - 1 }, (_, i) => {
    const path = [`/api/items${i}/**`, `/api/:kind/of/${i}`, `/api/items/${i}/parts`, `/x${i}/y/*`][i % 4];
    return { service: 'budgeting', match: { path } };
  });
}
