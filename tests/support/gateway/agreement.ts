import { request as httpRequest, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { expect } from '@jest/globals';
import fc from 'fast-check';
import type { GatewayFileInput } from '../../../config/file/schema.ts';
import { Explainer } from '../../../gateway/explain/explain.ts';
import type { Explanation } from '../../../gateway/explain/explanation.ts';
import { ADMIN_TOKEN, makeKey } from '../clients/apiKeys.ts';
import { eventually } from '../eventually.ts';
import { startUpstream, type Upstream } from '../upstreams/upstream.ts';
import { bearer, startGateway, tokenFor } from './gateway.ts';

type Routes = NonNullable<GatewayFileInput['routes']>;
type OwnRoutes = NonNullable<NonNullable<GatewayFileInput['services']>[number]['routes']>;

const SERVICES = ['/a', '/b'] as const;
/** Services, one for each of their replicas. */
const REPLICAS = ['/a', '/a', '/b'] as const;
const METHODS = ['GET', 'POST', 'DELETE'];
const CLIENT = '127.0.0.1';
const HOSTS = ['a.test', 'b.a.test', '*.a.test', '*.test'];

const pattern = fc
  .tuple(
    fc.array(fc.constantFrom('a', 'A', 'b', 'c', '%61', 'a.b', '*', ':x'), { maxLength: 3 }),
    fc.constantFrom('', '/', '/**', '/**'),
  )
  .filter(([segments]) => segments.filter((each) => each === ':x').length < 2)
  .map(([segments, end]) => segments.map((each) => `/${each}`).join('') + end || '/');

const match = fc.record(
  {
    path: pattern,
    host: fc.constantFrom(...HOSTS),
    methods: fc.uniqueArray(fc.constantFrom(...METHODS), { minLength: 1, maxLength: 2 }),
    headers: fc.dictionary(fc.constantFrom('x-a', 'x-b'), fc.constantFrom('1', '2'), { maxKeys: 1 }),
  },
  { requiredKeys: ['path'] },
);

const NEEDS = ['required', 'optional'] as const;
const SOURCES = ['bearer', 'query:token', 'cookie:sid', 'apiKey', 'apiKey:X-Service-Key'] as const;
const DIRECTIONS = [
  { set: { 'X-A': '3', 'X-New': '1' } },
  { add: { 'X-New': '1' }, remove: ['X-B'] },
  { remove: ['X-A', 'Cookie'] },
];

const RATES = [
  { per: 'identity' as const, limit: '100000/1m' },
  { per: 'identity' as const, by: 'claim:plan', limits: { default: '100000/1m' } },
];
type Balance = NonNullable<Routes[number]['balance']>;
const BALANCES: readonly Balance[] = [
  'least-load',
  { sticky: 'cookie' },
  { hash: 'subject' },
  { hash: 'address' },
  { hash: 'header:X-A' },
];

const auth = fc.oneof(
  fc.constantFrom('required' as const, 'optional' as const, 'none' as const),
  fc.record({
    need: fc.constantFrom(...NEEDS),
    sources: fc.oneof(
      fc.constant<(typeof SOURCES)[number][]>(['bearer', 'apiKey']),
      fc.uniqueArray(fc.constantFrom(...SOURCES), { minLength: 1, maxLength: 2 }),
    ),
  }),
);

const policies = fc.record(
  {
    auth,
    token: fc.constantFrom('issue' as const, 'revoke' as const),
    deny: fc.constantFrom([CLIENT], ['192.0.2.0/24']),
    passAuthorization: fc.boolean(),
    headers: fc.constantFrom(...DIRECTIONS).map((request) => ({ request })),
    host: fc.constantFrom('client', 'upstream', 'shop.internal'),
    // Far beyond what is asked: explain does not count.
    limits: fc.constantFrom(...RATES).map((rate) => ({ rate })),
    mirror: fc.constantFrom('off' as const, { percent: 100 }, { percent: 50, methods: ['GET'] }),
    balance: fc.constantFrom<Balance>(...BALANCES),
    cors: fc.constantFrom('off' as const, { origins: '*' as const }, { origins: ['https://a.example'] }),
  },
  { requiredKeys: [] },
);

const SIDES = [
  { service: 'a', weight: 2 },
  { service: 'b', weight: 1 },
];

/** What becomes of the requests of a route whose path may end in `**`. */
function actionFor(path: string, kind: number, service: string): object {
  const rest = path.endsWith('/**') ? '/**' : '';
  const id = path.includes(':x') ? '/:x' : '';
  // Where the path begins with what may be any segment, elsewhere would be here.
  const origin = /^\/[*:]/.test(path) ? 'https://b.example' : '';
  if (kind === 0) return { redirect: { to: `${origin}/elsewhere${id}${rest}` } };
  if (kind === 1) return { respond: { status: 503, body: 'Back at noon' } };
  const rewrite = kind === 2 || kind === 3 ? { rewrite: `/new${id}${rest}` } : {};
  if ([3, 4, 7, 8].includes(kind)) return { split: SIDES, ...rewrite };
  return service === '' ? rewrite : { service, ...rewrite };
}

const kinds = fc.integer({ min: 0, max: 9 });

/** Routes that are never equal: each has a priority of its own. */
const files = fc.record({
  own: fc.tuple(
    ...SERVICES.map(() => fc.array(fc.record({ match, policies, kind: kinds }), { maxLength: 5 })),
  ),
  free: fc.array(fc.record({ match, policies, kind: kinds, service: fc.constantFrom(...SERVICES) }), {
    maxLength: 5,
  }),
  stripPrefix: fc.boolean(),
});

const plain = fc
  .array(fc.constantFrom('a', 'A', 'b', 'c', 'x', '%61', 'a.b', ''), { maxLength: 4 })
  .map((segments) => segments.map((each) => `/${each}`).join(''));

const pieces = fc.constantFrom(
  ...['a', 'A', 'b', 'c', '%61', '%2561', 'a.b', 'a%2eb', 'b%20', 'elsewhere', '?x=1', ';x', '.', '..'],
  ...['/', '/', '/', '/', '//', '%2f', '%252f', '%5c', '/./', '%00', '#'],
);

const requests = fc.record({
  method: fc.constantFrom(...METHODS, 'GET', 'HEAD', 'PUT', 'OPTIONS', 'TRACE'),
  target: fc
    .tuple(
      fc.constantFrom('/a', '/a', '/b', '/b', '/A', '', '/healthz'),
      fc.oneof(
        { arbitrary: plain, weight: 3 },
        { arbitrary: fc.array(pieces, { maxLength: 6 }).map((all) => `/${all.join('')}`), weight: 1 },
      ),
    )
    .map(([first, rest]) => first + rest || '/'),
  host: fc.oneof(
    { arbitrary: fc.constantFrom('a.test', 'A.test:80', 'b.a.test', 'c.b.a.test', 'other'), weight: 30 },
    { arbitrary: fc.constant('a@b'), weight: 1 },
  ),
  fields: fc.dictionary(
    fc.constantFrom('x-a', 'x-b', 'x-http-method-override', 'access-control-request-headers'),
    fc.constantFrom('1', '2', 'DELETE', 'x-a'),
    { maxKeys: 2 },
  ),
  carries: fc.oneof(
    { arbitrary: fc.constant('bearer' as const), weight: 6 },
    { arbitrary: fc.constantFrom('query', 'cookie', 'key', 'otherKey', 'none'), weight: 5 },
  ),
  preflight: fc.option(fc.constantFrom('GET', 'DELETE'), { nil: undefined, freq: 8 }),
});

/** Gateway files, each with requests to it. */
export const filesWithRequests = (each: number) =>
  fc.tuple(files, fc.array(requests, { minLength: each, maxLength: each }));

type ValueOf<Values> = Values extends fc.Arbitrary<infer Value> ? Value : never;
type File = ValueOf<typeof files>;
type Asked = ValueOf<typeof requests>;

/** What was seen of one request: how the gateway responded, and what a service was asked. */
interface Seen {
  readonly status: number;
  readonly location: string | undefined;
  readonly asked: string | undefined;
  readonly replica: string | undefined;
  readonly route: string | undefined;
  /** Names of the fields that it got, of those that explain is about. */
  readonly got: readonly string[] | undefined;
}

/** Fields of the connection and of the content alone. */
const OF_FRAMING = new Set(['host', 'connection', 'keep-alive', 'content-length', 'transfer-encoding']);

/**
 * Starts services that echo, and a gateway with the file; what it does with each request is what `explain` says.
 *
 * @param tally is told of each request
 */
export async function expectAgreement(
  file: File,
  asked: readonly Asked[],
  tally: (explained: Explanation) => void,
): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const upstreams = await Promise.all(
    REPLICAS.map(async (path) => ({ path, origin: stack.use(await startEcho(path)).url })),
  );
  const gateway = stack.use(await startGateway(optionsFor(file, upstreams)));
  const { settings } = gateway.gateway.parts;
  const { key } = await makeKey(gateway.internal);
  const sources = { env: {}, dotenv: {} };
  const explainer = await Explainer.create({ settings, sources, written: undefined }, 'external');
  stack.defer(() => explainer.dispose());
  for (const [index, one] of asked.entries()) {
    // A logout revokes its token, which therefore is that of one request.
    const token = tokenFor(`ann-${index}`);
    const { method, target, fields } = written(one, token, key);
    const explained = await explainer.explain({ method, target, fields, isSecure: false, address: CLIENT });
    const { seen, requestId } = await send(gateway.external, method, target, fields);
    const line = await eventually('the access line', () =>
      requestId === undefined ? {} : gateway.logLines().findLast((each) => each.requestId === requestId),
    ).catch(() => ({}) as Record<string, unknown>);
    const route = line.route as string | undefined;
    tally(explained);
    const expected = withoutToken(expectedOf(explained, seen, fields), token);
    // Where load decides, any of them may have been asked.
    const replica = expected.replica && seen.replica;
    const shown = withoutToken({ ...seen, replica, route }, token);
    expect({ one, seen: shown }).toEqual({ one, seen: expected });
  }
}

/** Tokens in queries are hidden where a source says that they are tokens. */
function withoutToken(seen: Seen, token: string): Seen {
  const [location, asked] = [seen.location, seen.asked].map((text) => text?.replaceAll(token, '...'));
  return { ...seen, location, asked };
}

/** The request as a client writes it. */
function written(one: Asked, token: string, key: string) {
  const { preflight, carries, target } = one;
  const asking = ['Origin', 'https://a.example', 'Access-Control-Request-Method', preflight ?? ''];
  const carried: Readonly<Record<Asked['carries'], readonly string[]>> = {
    bearer: ['Authorization', bearer(token).Authorization],
    cookie: ['Cookie', `sid=${token}; a=b`],
    key: ['X-Api-Key', key],
    otherKey: ['X-Service-Key', key],
    query: [],
    none: [],
  };
  return {
    method: preflight === undefined ? one.method : 'OPTIONS',
    target: carries === 'query' ? `${target}${target.includes('?') ? '&' : '?'}token=${token}` : target,
    fields: [
      ...['Host', one.host, ...carried[carries], ...Object.entries(one.fields).flat()],
      ...(preflight === undefined ? [] : asking),
    ],
  };
}

function expectedOf({ outcome, route, upstream }: Explanation, seen: Seen, fields: readonly string[]): Seen {
  const name = route?.name;
  const status = outcome.kind === 'own' ? seen.status : (outcome.status ?? 200);
  const responded = { status, location: outcome.location, route: name };
  if (outcome.kind !== 'forward' || outcome.status !== undefined)
    return { ...responded, asked: undefined, replica: undefined, got: undefined };
  // An API key does not say whom it is of, and so not which side of a split it is for.
  if (!upstream) return { ...seen, ...responded };
  const { service, target, choice, fieldsAdded, fieldsRemoved } = upstream;
  const removed = new Set(lowerCase(fieldsRemoved));
  const given = lowerCase(namesIn(fields)).filter((each) => !removed.has(each));
  const got = aboutFields([...given, ...fieldsAdded]);
  return { ...responded, asked: `${service} ${target}`, replica: choice.replica, got };
}

function aboutFields(names: readonly string[]): string[] {
  return [...new Set(lowerCase(names))].filter((name) => !OF_FRAMING.has(name)).sort();
}

function namesIn(fields: readonly string[]): string[] {
  return fields.filter((_, index) => index % 2 === 0);
}

function lowerCase(names: readonly string[]): string[] {
  return names.map((name) => name.toLowerCase());
}

function optionsFor(
  { own, free, stripPrefix }: File,
  upstreams: readonly { readonly path: string; readonly origin: URL }[],
) {
  let priority = 0;
  const routed = (
    written: File['free'][number] | NonNullable<File['own'][number]>[number],
    owner: string,
    service = '',
  ) => {
    priority += 1;
    const { path } = written.match;
    const { cors, deny, mirror: copied } = written.policies;
    const mirror = typeof copied === 'object' ? { ...copied, service: owner === 'a' ? 'b' : 'a' } : copied;
    const action = actionFor(path, written.kind, service);
    const isFixed = 'redirect' in action || 'respond' in action;
    // What responds by itself asks no service, and nobody for a token.
    const said = isFixed ? { cors, deny } : { ...written.policies, mirror };
    return { ...said, match: { ...written.match, priority }, ...action };
  };
  const services = SERVICES.map((path, index) => {
    const routes = (own[index] ?? []).map((route) => routed(route, path.slice(1))) as OwnRoutes;
    return [
      path,
      {
        upstreams: upstreams
          .filter((each) => each.path === path)
          .map(({ origin }) => new URL(path === '/b' ? '/base' : '/', origin)),
        stripPrefix,
        routes,
        cacheTtl: 'off',
      },
    ] as const;
  });
  const routes = free.map((route) => routed(route, route.service.slice(1), route.service.slice(1))) as Routes;
  return {
    services: Object.fromEntries(services),
    routes,
    env: {
      ADMIN_TOKEN,
      AUTH_ISSUE_PATHS: '/a/in',
      AUTH_REVOKE_PATHS: '/a/out',
      AUTH_QUERY_TOKEN_PATHS: '/a/hub',
    },
  };
}

function startEcho(path: string): Promise<Upstream> {
  return startUpstream((req, res) => {
    res.setHeader('X-Replica', `http://127.0.0.1:${req.socket.localPort}`);
    res.setHeader('X-Asked', `${path} ${req.url}`);
    res.setHeader('X-Got', aboutFields(namesIn(req.rawHeaders)).join(' '));
    res.end('ok');
  });
}

async function send(origin: string, method: string, target: string, fields: readonly string[]) {
  const { hostname, port } = new URL(origin);
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const options = { hostname, port, method, path: target, headers: fields, agent: false, setHost: false };
  httpRequest(options, resolve).once('error', reject).end();
  const response = await promise;
  await text(response);
  const {
    location,
    'x-replica': replica,
    'x-asked': asked,
    'x-got': got,
    'x-request-id': id,
  } = response.headers;
  const seen: Seen = {
    status: response.statusCode ?? 0,
    location,
    asked: asked as string | undefined,
    replica: replica as string | undefined,
    route: undefined,
    got: (got as string | undefined)?.split(' '),
  };
  return { seen, requestId: id as string | undefined };
}
