import type { GatewayFileInput } from '../../../config/file/schema.ts';
import type { PolicySettings } from '../../../config/policies/policies.ts';
import type { Level } from './leaves.ts';

/** What a level of a file may say. */
export type Says = NonNullable<GatewayFileInput['defaults']> &
  Omit<NonNullable<GatewayFileInput['routes']>[number], 'match' | 'breaker'>;

/** One field that is inherited: what it says, what then holds, and what is no value of it. */
export interface PolicyField {
  readonly field: string;
  /** Where it is said; left out: wherever the schema has it. */
  readonly levels?: readonly Level[];
  readonly says: readonly [given: Says, other: Says];
  readonly read: (settings: PolicySettings) => unknown;
  /** What is read where the one is said, and where the other is. */
  readonly holds: readonly [given: unknown, other: unknown];
  /** What is read where a level says the first, and one within the other. Default: the other. */
  readonly both?: unknown;
  /** What is no value, and how the problem goes on behind the place of the level. */
  readonly refused: readonly [says: object, problem: string];
}

const DURATION = 'expected a duration';
const cookie = (name: string) => ({ from: 'cookie', name });
const cors = (more: object) => ({ cors: { origins: ['https://a.example'], ...more } });
const rate = (more: object) => ({ limits: { rate: { per: 'identity' as const, ...more } } }) as Says;
const byPlan = (limits: object, by = 'claim:plan') => rate({ by, limits });
const mirror = (more: object) => ({ mirror: { service: 'b', ...more } });
const health = (more: object) => ({ health: { path: '/up', ...more } });
const tls = (more: object): Says => ({ tls: { ca: '/ca.pem', ...more } });
const security = (more: object) => ({ security: more });
const hsts = (more: object) => security({ hsts: more });
const fields = (way: 'request' | 'response', more: object) => ({ headers: { [way]: more } });
const rules = ({ requestRules, responseRules }: PolicySettings) => requestRules ?? responseRules;

const ofAuth: readonly PolicyField[] = [
  {
    field: 'auth',
    says: [{ auth: 'none' }, { auth: 'optional' }],
    read: ({ auth }) => auth.need,
    holds: ['none', 'optional'],
    refused: [{ auth: 'nobody' }, 'auth is "nobody": expected required, optional, none or an object'],
  },
  {
    field: 'auth.need',
    says: [{ auth: { need: 'optional' } }, { auth: { need: 'required' } }],
    read: ({ auth }) => auth.need,
    holds: ['optional', 'required'],
    refused: [{ auth: { need: 'none' } }, 'auth.need is "none": expected required or optional'],
  },
  {
    field: 'auth.require',
    says: [{ auth: { require: { scopes: ['a'] } } }, { auth: { require: 'off' } }],
    read: ({ auth }) => auth.require?.scopes,
    holds: [['a'], undefined],
    refused: [
      { auth: { require: {} } },
      'auth.require is {}: expected off, or an object with claims or scopes',
    ],
  },
  {
    field: 'auth.require.claims',
    says: [
      { auth: { require: { claims: { role: 'user', tenant: 1 } } } },
      { auth: { require: { claims: { role: ['admin'] } } } },
    ],
    read: ({ auth }) => auth.require?.claims,
    holds: [{ role: ['user'], tenant: [1] }, { role: ['admin'] }],
    both: { role: ['admin'], tenant: [1] },
    refused: [
      { auth: { require: { claims: {} } } },
      'auth.require.claims is {}: expected an object of claims',
    ],
  },
  {
    field: 'auth.require.scopes',
    says: [{ auth: { require: { scopes: ['a'] } } }, { auth: { require: { scopes: ['b'] } } }],
    read: ({ auth }) => auth.require?.scopes,
    holds: [['a'], ['b']],
    refused: [
      { auth: { require: { scopes: ['a b'] } } },
      'auth.require.scopes[0] is "a b": expected a list of scopes',
    ],
  },
  {
    field: 'auth.sources',
    says: [{ auth: { sources: ['cookie:s'] } }, { auth: { sources: ['bearer', 'cookie:t'] } }],
    read: ({ auth }) => auth.sources,
    holds: [[cookie('s')], [{ from: 'bearer' }, cookie('t')]],
    refused: [
      { auth: { sources: ['header'] } },
      'auth.sources[0] is "header": expected bearer, cookie:<name>',
    ],
  },
  {
    field: 'passAuthorization',
    says: [{ passAuthorization: true }, { passAuthorization: false }],
    read: ({ passAuthorization }) => passAuthorization,
    holds: [true, false],
    refused: [{ passAuthorization: 'yes' }, 'passAuthorization is "yes": expected true or false'],
  },
  {
    field: 'token',
    says: [{ token: 'issue' }, { token: 'revoke' }],
    read: ({ token }) => token,
    holds: ['issue', 'revoke'],
    refused: [{ token: 'isue' }, 'token is "isue": expected issue or revoke; did you mean issue?'],
  },
  {
    field: 'allow',
    says: [{ allow: ['10.0.0.0/8'] }, { allow: ['192.0.2.1'] }],
    read: ({ allow }) => allow,
    holds: [['10.0.0.0/8'], ['192.0.2.1']],
    refused: [{ allow: ['nowhere'] }, 'allow[0] is "nowhere": expected '],
  },
  {
    field: 'deny',
    says: [{ deny: ['10.0.0.0/8'] }, { deny: ['192.0.2.1'] }],
    read: ({ deny }) => deny,
    holds: [['10.0.0.0/8'], ['192.0.2.1']],
    both: ['10.0.0.0/8', '192.0.2.1'],
    refused: [{ deny: 'all' }, 'deny is "all": expected a list of IP addresses and ranges'],
  },
];

const ofTimeAndAmount: readonly PolicyField[] = [
  {
    field: 'timeouts.request',
    says: [{ timeouts: { request: '1s' } }, { timeouts: { request: '2s' } }],
    read: ({ requestTimeoutMs }) => requestTimeoutMs,
    holds: [1000, 2000],
    refused: [{ timeouts: { request: 'soon' } }, `timeouts.request is "soon": ${DURATION}`],
  },
  {
    field: 'timeouts.idle',
    says: [{ timeouts: { idle: '1s' } }, { timeouts: { idle: '2s' } }],
    read: ({ idleTimeoutMs }) => idleTimeoutMs,
    holds: [1000, 2000],
    refused: [{ timeouts: { idle: '0' } }, `timeouts.idle is "0": ${DURATION}`],
  },
  {
    field: 'limits.concurrency',
    says: [{ limits: { concurrency: 4 } }, { limits: { concurrency: 8 } }],
    read: ({ concurrency }) => concurrency,
    holds: [4, 8],
    refused: [{ limits: { concurrency: 0 } }, 'limits.concurrency is 0: expected a whole number from 1'],
  },
  {
    field: 'limits.streams',
    says: [{ limits: { streams: 4 } }, { limits: { streams: 0 } }],
    read: ({ streams }) => streams,
    holds: [4, 0],
    refused: [{ limits: { streams: -1 } }, 'limits.streams is -1: expected a whole number from 0'],
  },
  {
    field: 'limits.body',
    says: [{ limits: { body: '1KiB' } }, { limits: { body: 0 } }],
    read: ({ maxBodyBytes }) => maxBodyBytes,
    holds: [1024, 0],
    refused: [{ limits: { body: 'large' } }, 'limits.body is "large": expected '],
  },
  {
    field: 'limits.rate.per',
    says: [rate({ per: 'address', limit: '5/1m' }), rate({ per: 'route', limit: '5/1m' })],
    read: ({ rates }) => rates.map(({ per }) => per),
    holds: [['address'], ['route']],
    both: ['address', 'route'],
    refused: [rate({ per: 'user', limit: '5/1m' }), 'limits.rate.per is "user": expected identity, address'],
  },
  {
    field: 'limits.rate.limit',
    says: [rate({ limit: '5/1m' }), rate({ limit: '9/2m' })],
    read: ({ rates }) => rates.map((each) => [each.rate.requests, each.rate.windowMs]),
    holds: [[[5, 60_000]], [[9, 120_000]]],
    both: [
      [5, 60_000],
      [9, 120_000],
    ],
    refused: [rate({ limit: '5' }), 'limits.rate.limit is "5": expected requests in whole seconds'],
  },
  {
    field: 'limits.rate.burst',
    says: [rate({ limit: '5/1m', burst: 2 }), rate({ limit: '5/1m', burst: 3 })],
    read: ({ rates }) => rates.map((each) => each.rate.burst),
    holds: [[2], [3]],
    both: [2, 3],
    refused: [rate({ limit: '5/1m', burst: 0 }), 'limits.rate.burst is 0: expected a whole number from 1'],
  },
  {
    field: 'limits.rate.by',
    says: [byPlan({ default: '5/1m' }), byPlan({ default: '5/1m' }, 'scope')],
    read: ({ rates }) => rates.map(({ by }) => by),
    holds: [[{ claim: 'plan' }], ['scope']],
    both: [{ claim: 'plan' }, 'scope'],
    refused: [byPlan({ default: '5/1m' }, 'plan'), 'limits.rate.by is "plan": expected claim:'],
  },
  {
    field: 'limits.rate.limits',
    says: [byPlan({ free: '1/1m', default: '5/1m' }), byPlan({ gold: '9/1m', default: '5/1m' })],
    read: ({ rates }) => rates.map((each) => each.rates.map(([value, { requests }]) => [value, requests])),
    holds: [[[['free', 1]]], [[['gold', 9]]]],
    both: [[['free', 1]], [['gold', 9]]],
    refused: [byPlan({ free: '1/1m' }), 'limits.rate.limits.default is missing: expected a rate for'],
  },
  {
    field: 'limits.rate.limits.limit',
    says: [byPlan({ default: { limit: '5/1m' } }), byPlan({ default: { limit: '9/1m' } })],
    read: ({ rates }) => rates.map((each) => each.rate.requests),
    holds: [[5], [9]],
    both: [5, 9],
    refused: [
      byPlan({ default: { limit: '5' } }),
      'limits.rate.limits.default.limit is "5": expected requests',
    ],
  },
  {
    field: 'limits.rate.limits.burst',
    says: [
      byPlan({ default: { limit: '5/1m', burst: 2 } }),
      byPlan({ default: { limit: '5/1m', burst: 3 } }),
    ],
    read: ({ rates }) => rates.map((each) => each.rate.burst),
    holds: [[2], [3]],
    both: [2, 3],
    refused: [
      byPlan({ default: { limit: '5/1m', burst: 0 } }),
      'limits.rate.limits.default.burst is 0: expected a whole number from 1',
    ],
  },
  {
    field: 'cache',
    says: [{ cache: { ttl: '5s' } }, { cache: 'off' }],
    read: ({ cacheTtlMs }) => cacheTtlMs,
    holds: [5000, 'off'],
    refused: [{ cache: 'on' }, 'cache is "on": expected off, explicit or an object'],
  },
  {
    field: 'cache.ttl',
    says: [{ cache: { ttl: '5s' } }, { cache: { ttl: 'explicit' } }],
    read: ({ cacheTtlMs }) => cacheTtlMs,
    holds: [5000, 0],
    refused: [{ cache: { ttl: 'long' } }, 'cache.ttl is "long": expected '],
  },
  {
    field: 'cache.shared',
    says: [{ cache: { shared: false } }, { cache: { shared: true } }],
    read: ({ cacheShared }) => cacheShared,
    holds: [false, true],
    refused: [{ cache: { shared: 'no' } }, 'cache.shared is "no": expected true or false'],
  },
];

const ofCompression: readonly PolicyField[] = [
  {
    field: 'compress',
    says: [{ compress: 'on' }, { compress: 'off' }],
    read: ({ compress }) => compress !== undefined,
    holds: [true, false],
    refused: [{ compress: 'gzip' }, 'compress is "gzip": expected on, off, true, false or an object'],
  },
  {
    field: 'compress.codings',
    says: [{ compress: { codings: ['br'] } }, { compress: { codings: ['gzip', 'zstd'] } }],
    read: ({ compress }) => compress?.codings,
    holds: [['br'], ['gzip', 'zstd']],
    refused: [{ compress: { codings: ['deflate'] } }, 'compress.codings[0] is "deflate": expected a list of'],
  },
  ...(['zstd', 'br', 'gzip'] as const).map(
    (coding): PolicyField => ({
      field: `compress.level.${coding}`,
      says: [{ compress: { level: { [coding]: 2 } } }, { compress: { level: { [coding]: 5 } } }],
      read: ({ compress }) => compress?.levels[coding],
      holds: [2, 5],
      refused: [
        { compress: { level: { [coding]: 99 } } },
        `compress.level.${coding} is 99: expected a whole number from `,
      ],
    }),
  ),
  {
    field: 'compress.floor',
    says: [{ compress: { floor: '2KiB' } }, { compress: { floor: 0 } }],
    read: ({ compress }) => compress?.floorBytes,
    holds: [2048, 0],
    refused: [{ compress: { floor: 'low' } }, 'compress.floor is "low": expected '],
  },
  {
    field: 'compress.types',
    says: [{ compress: { types: ['text/*'] } }, { compress: { types: ['application/json'] } }],
    read: ({ compress }) => compress?.types,
    holds: [['text/*'], ['application/json']],
    refused: [
      { compress: { types: ['json'] } },
      'compress.types[0] is "json": expected a list of media types',
    ],
  },
];

const ofBrowsers: readonly PolicyField[] = [
  {
    field: 'cors',
    says: [{ cors: { origins: '*' } }, { cors: 'off' }],
    read: ({ cors: held }) => held?.origins,
    holds: [['*'], undefined],
    refused: [{ cors: true }, 'cors is true: expected off or an object'],
  },
  {
    field: 'cors.origins',
    says: [{ cors: { origins: ['https://a.example'] } }, { cors: { origins: ['https://b.example'] } }],
    read: ({ cors: held }) => held?.origins,
    holds: [['https://a.example'], ['https://b.example']],
    refused: [{ cors: { origins: ['null'] } }, 'cors.origins[0] is "null": expected '],
  },
  {
    field: 'cors.credentials',
    says: [cors({ credentials: true }), cors({ credentials: false })],
    read: ({ cors: held }) => held?.credentials,
    holds: [true, false],
    refused: [
      { cors: { origins: '*', credentials: true } },
      'cors.credentials is true with the origin "*": expected origins by name',
    ],
  },
  {
    field: 'cors.methods',
    says: [cors({ methods: ['GET'] }), cors({ methods: ['GET', 'POST'] })],
    read: ({ cors: held }) => held?.methods,
    holds: [['GET'], ['GET', 'POST']],
    refused: [
      cors({ methods: ['get'] }),
      'cors.methods[0] is "get": expected a list of methods in upper case',
    ],
  },
  {
    field: 'cors.allowHeaders',
    says: [cors({ allowHeaders: ['X-A'] }), cors({ allowHeaders: [] })],
    read: ({ cors: held }) => held?.allowHeaders,
    holds: [['X-A'], []],
    refused: [cors({ allowHeaders: ['*'] }), 'cors.allowHeaders[0] is "*": expected the name of a field'],
  },
  {
    field: 'cors.exposeHeaders',
    says: [cors({ exposeHeaders: ['X-A'] }), cors({ exposeHeaders: ['X-B'] })],
    read: ({ cors: held }) => held?.exposeHeaders,
    holds: [['X-A'], ['X-B']],
    refused: [
      cors({ exposeHeaders: ['a b'] }),
      'cors.exposeHeaders[0] is "a b": expected the name of a field',
    ],
  },
  {
    field: 'cors.maxAge',
    says: [cors({ maxAge: '5s' }), cors({ maxAge: '0' })],
    read: ({ cors: held }) => held?.maxAgeSeconds,
    holds: [5, 0],
    refused: [cors({ maxAge: 'long' }), 'cors.maxAge is "long": expected '],
  },
  {
    field: 'security',
    says: [{ security: true }, { security: 'off' }],
    read: ({ security: held }) => held?.nosniff,
    holds: [true, undefined],
    refused: [{ security: 'on' }, 'security is "on": expected off, true or an object'],
  },
  {
    field: 'security.hsts',
    says: [security({ hsts: true }), security({ hsts: 'off' })],
    read: ({ security: held }) => held?.hsts,
    holds: ['max-age=31536000', undefined],
    refused: [security({ hsts: 'long' }), 'security.hsts is "long": expected off, true, or an object'],
  },
  {
    field: 'security.hsts.maxAge',
    says: [hsts({ maxAge: '30d' }), hsts({ maxAge: '0' })],
    read: ({ security: held }) => held?.hsts,
    holds: ['max-age=2592000', 'max-age=0'],
    refused: [hsts({ maxAge: 'long' }), 'security.hsts.maxAge is "long": expected '],
  },
  {
    field: 'security.hsts.includeSubDomains',
    says: [hsts({ includeSubDomains: true }), hsts({ includeSubDomains: false })],
    read: ({ security: held }) => held?.hsts?.includes('includeSubDomains'),
    holds: [true, false],
    refused: [hsts({ includeSubDomains: 1 }), 'security.hsts.includeSubDomains is 1: expected true or false'],
  },
  {
    field: 'security.hsts.preload',
    says: [hsts({ includeSubDomains: true, preload: true }), hsts({ preload: false })],
    read: ({ security: held }) => held?.hsts?.includes('preload'),
    holds: [true, false],
    refused: [hsts({ preload: true }), 'security.hsts.preload is true: expected includeSubDomains: true'],
  },
  {
    field: 'security.nosniff',
    says: [security({ nosniff: 'off' }), security({ nosniff: true })],
    read: ({ security: held }) => held?.nosniff,
    holds: [false, true],
    refused: [security({ nosniff: 'no' }), 'security.nosniff is "no": expected true or off'],
  },
  {
    field: 'security.frame',
    says: [security({ frame: 'sameorigin' }), security({ frame: 'deny' })],
    read: ({ security: held }) => held?.frame,
    holds: ['SAMEORIGIN', 'DENY'],
    refused: [security({ frame: 'allow' }), 'security.frame is "allow": expected deny, sameorigin or off'],
  },
  {
    field: 'security.referrerPolicy',
    says: [security({ referrerPolicy: 'origin' }), security({ referrerPolicy: 'off' })],
    read: ({ security: held }) => held?.referrerPolicy,
    holds: ['origin', undefined],
    refused: [
      security({ referrerPolicy: 'never' }),
      'security.referrerPolicy is "never": expected no-referrer',
    ],
  },
  {
    field: 'security.csp',
    says: [security({ csp: "default-src 'none'" }), security({ csp: 'off' })],
    read: ({ security: held }) => held?.csp,
    holds: ["default-src 'none'", undefined],
    refused: [security({ csp: 'a\nb' }), 'security.csp is "a\\nb": expected off, or a text of one line'],
  },
  {
    field: 'security.permissionsPolicy',
    says: [security({ permissionsPolicy: 'camera=()' }), security({ permissionsPolicy: 'off' })],
    read: ({ security: held }) => held?.permissionsPolicy,
    holds: ['camera=()', undefined],
    refused: [
      security({ permissionsPolicy: '' }),
      'security.permissionsPolicy is "": expected off, or a text',
    ],
  },
];

const owned = 'is a field that the gateway sets itself, or must know';

const ofFields: readonly PolicyField[] = [
  {
    field: 'headers',
    says: [fields('request', { set: { 'X-A': 1 } }), { headers: 'off' }],
    read: rules,
    holds: [{ set: ['X-A', '1'], add: [], remove: [] }, undefined],
    refused: [{ headers: 'none' }, 'headers is "none": expected off or an object'],
  },
  ...(['request', 'response'] as const).flatMap((way): PolicyField[] => {
    const foreign = way === 'request' ? 'X-Auth-Subject' : 'X-Request-Id';
    return [
      {
        field: `headers.${way}.set`,
        says: [fields(way, { set: { 'X-A': 1, 'X-B': 'b' } }), fields(way, { set: { 'x-a': ['2', '3'] } })],
        read: (settings) => rules(settings)?.set,
        holds: [
          ['X-A', '1', 'X-B', 'b'],
          ['x-a', '2', 'x-a', '3'],
        ],
        both: ['x-a', '2', 'x-a', '3', 'X-B', 'b'],
        refused: [fields(way, { set: { [foreign]: 'x' } }), `headers.${way}.set.${foreign} ${owned}`],
      },
      {
        field: `headers.${way}.add`,
        says: [fields(way, { add: { 'X-A': 1 } }), fields(way, { add: { 'X-B': true } })],
        read: (settings) => rules(settings)?.add,
        holds: [
          ['X-A', '1'],
          ['X-B', 'true'],
        ],
        both: ['X-A', '1', 'X-B', 'true'],
        refused: [fields(way, { add: { 'a b': 'x' } }), `headers.${way}.add.a b is no name of a field`],
      },
      {
        field: `headers.${way}.remove`,
        says: [fields(way, { remove: ['X-A'] }), fields(way, { remove: ['X-B'] })],
        read: (settings) => rules(settings)?.remove,
        holds: [['x-a'], ['x-b']],
        refused: [fields(way, { remove: [foreign] }), `headers.${way}.remove[0] (${foreign}) ${owned}`],
      },
    ];
  }),
  {
    field: 'host',
    says: [{ host: 'upstream' }, { host: 'shop.internal:80' }],
    read: ({ host }) => host,
    holds: ['upstream', { name: 'shop.internal:80' }],
    refused: [{ host: 'http://a' }, 'host is "http://a": expected client, upstream, or a host'],
  },
  {
    field: 'publicPaths',
    says: [{ publicPaths: true }, { publicPaths: false }],
    read: ({ publicPaths }) => publicPaths,
    holds: [true, false],
    refused: [{ publicPaths: 'yes' }, 'publicPaths is "yes": expected true or false'],
  },
];

const ofReplicas: readonly PolicyField[] = [
  {
    field: 'retry',
    says: [{ retry: 'off' }, { retry: true }],
    read: ({ retries, hedges }) => [retries, hedges],
    holds: [
      [false, false],
      [true, true],
    ],
    refused: [{ retry: 3 }, 'retry is 3: expected off, true, false or an object'],
  },
  {
    field: 'retry.hedge',
    says: [{ retry: { hedge: 'off' } }, { retry: { hedge: true } }],
    read: ({ retries, hedges }) => [retries, hedges],
    holds: [
      [true, false],
      [true, true],
    ],
    refused: [{ retry: { hedge: 1 } }, 'retry.hedge is 1: expected off, true or false'],
  },
  {
    field: 'breaker',
    levels: ['defaults', 'service'],
    says: [{ breaker: 'off' }, { breaker: true }],
    read: ({ breaker }) => breaker !== undefined,
    holds: [false, true],
    refused: [{ breaker: 3 }, 'breaker is 3: expected off, true, false or an object'],
  },
  {
    field: 'breaker',
    levels: ['route', 'free'],
    says: [{ breaker: 'off' }, { breaker: false }],
    read: ({ breaker }) => breaker,
    holds: [undefined, undefined],
    refused: [
      { breaker: { threshold: 3 } },
      'breaker is {"threshold":3}: expected off: a replica has one breaker',
    ],
  },
  {
    field: 'breaker.threshold',
    says: [{ breaker: { threshold: 2 } }, { breaker: { threshold: 9 } }],
    read: ({ breaker }) => breaker?.threshold,
    holds: [2, 9],
    refused: [{ breaker: { threshold: 0 } }, 'breaker.threshold is 0: expected a whole number from 1'],
  },
  {
    field: 'breaker.ratio',
    says: [{ breaker: { ratio: 0 } }, { breaker: { ratio: 1 } }],
    read: ({ breaker }) => breaker?.ratio,
    holds: [0, 1],
    refused: [{ breaker: { ratio: 2 } }, 'breaker.ratio is 2: expected a number from 0 to 1'],
  },
  {
    field: 'breaker.window',
    says: [{ breaker: { window: '5s' } }, { breaker: { window: '9s' } }],
    read: ({ breaker }) => breaker?.windowMs,
    holds: [5000, 9000],
    refused: [{ breaker: { window: '0' } }, `breaker.window is "0": ${DURATION}`],
  },
  {
    field: 'breaker.cooldown',
    says: [{ breaker: { cooldown: '5s' } }, { breaker: { cooldown: '9s' } }],
    read: ({ breaker }) => breaker?.cooldownMs,
    holds: [5000, 9000],
    refused: [{ breaker: { cooldown: '5' } }, `breaker.cooldown is "5": ${DURATION}`],
  },
  {
    field: 'balance',
    says: [{ balance: { hash: 'subject' } }, { balance: 'least-load' }],
    read: ({ balance }) => balance,
    holds: [{ by: 'subject' }, { by: 'load' }],
    refused: [{ balance: 'random' }, 'balance is "random": expected least-load, { sticky: cookie }'],
  },
  {
    field: 'balance.sticky',
    says: [{ balance: { sticky: 'cookie' } }, { balance: { sticky: 'cookie:node' } }],
    read: ({ balance }) => balance,
    holds: [
      { by: 'cookie', cookie: undefined },
      { by: 'cookie', cookie: 'node' },
    ],
    refused: [
      { balance: { sticky: 'cookie:__Host-x' } },
      'balance.sticky is "cookie:__Host-x": expected cookie',
    ],
  },
  {
    field: 'balance.hash',
    says: [{ balance: { hash: 'address' } }, { balance: { hash: 'header:X-Room' } }],
    read: ({ balance }) => balance,
    holds: [{ by: 'address' }, { by: 'header', header: 'x-room' }],
    refused: [
      { balance: { hash: 'cookie' } },
      'balance.hash is "cookie": expected subject, address or header',
    ],
  },
];

const ofUpstreams: readonly PolicyField[] = [
  {
    field: 'health',
    says: [{ health: { path: '/up' } }, { health: 'off' }],
    read: (settings) => settings.health?.path,
    holds: ['/up', undefined],
    refused: [{ health: '/up' }, 'health is "/up": expected off or an object with a path'],
  },
  {
    field: 'health.path',
    says: [{ health: { path: '/up' } }, { health: { path: '/ready?x=1' } }],
    read: (settings) => settings.health?.path,
    holds: ['/up', '/ready?x=1'],
    refused: [{ health: { path: 'up' } }, 'health.path is "up": expected a path'],
  },
  {
    field: 'health.interval',
    says: [health({ interval: '5s' }), health({ interval: '9s' })],
    read: (settings) => settings.health?.intervalMs,
    holds: [5000, 9000],
    refused: [health({ interval: '5' }), `health.interval is "5": ${DURATION}`],
  },
  {
    field: 'health.timeout',
    says: [health({ timeout: '1s' }), health({ timeout: '2s' })],
    read: (settings) => settings.health?.timeoutMs,
    holds: [1000, 2000],
    refused: [health({ timeout: '0' }), `health.timeout is "0": ${DURATION}`],
  },
  {
    field: 'health.healthyAfter',
    says: [health({ healthyAfter: 1 }), health({ healthyAfter: 9 })],
    read: (settings) => settings.health?.healthyAfter,
    holds: [1, 9],
    refused: [health({ healthyAfter: 0 }), 'health.healthyAfter is 0: expected a whole number from 1 to 100'],
  },
  {
    field: 'health.unhealthyAfter',
    says: [health({ unhealthyAfter: 1 }), health({ unhealthyAfter: 9 })],
    read: (settings) => settings.health?.unhealthyAfter,
    holds: [1, 9],
    refused: [
      health({ unhealthyAfter: 101 }),
      'health.unhealthyAfter is 101: expected a whole number from 1',
    ],
  },
  {
    field: 'health.status',
    says: [health({ status: 204 }), health({ status: ['200-299', 401] })],
    read: (settings) => settings.health?.statuses,
    holds: [
      [{ from: 204, to: 204 }],
      [
        { from: 200, to: 299 },
        { from: 401, to: 401 },
      ],
    ],
    refused: [health({ status: 100 }), 'health.status is 100: expected a status from 200 to 599'],
  },
  {
    field: 'health.port',
    says: [health({ port: 8081 }), health({ port: 9090 })],
    read: (settings) => settings.health?.port,
    holds: [8081, 9090],
    refused: [health({ port: 0 }), 'health.port is 0: expected a port from 1 to 65535'],
  },
  {
    field: 'tls',
    says: [tls({}), { tls: 'off' }],
    read: (settings) => settings.tls !== undefined,
    holds: [true, false],
    refused: [{ tls: true }, 'tls is true: expected off or an object'],
  },
  {
    field: 'tls.ca',
    says: [{ tls: { ca: '/ca.pem' } }, { tls: { ca: '/other/ca.pem' } }],
    read: (settings) => settings.tls?.files.ca,
    holds: ['/ca.pem', '/other/ca.pem'],
    refused: [{ tls: { ca: ' ' } }, 'tls.ca is " ": expected the path of a file'],
  },
  {
    field: 'tls.cert',
    says: [tls({ cert: '/cert.pem', key: '/key.pem' }), tls({ cert: '/other/cert.pem', key: '/key.pem' })],
    read: (settings) => settings.tls?.files.cert,
    holds: ['/cert.pem', '/other/cert.pem'],
    refused: [tls({ cert: '' }), 'tls.cert is "": expected the path of a file'],
  },
  {
    field: 'tls.key',
    says: [tls({ cert: '/cert.pem', key: '/key.pem' }), tls({ cert: '/cert.pem', key: '/other/key.pem' })],
    read: (settings) => settings.tls?.files.key,
    holds: ['/key.pem', '/other/key.pem'],
    refused: [tls({ key: '' }), 'tls.key is "": expected the path of a file'],
  },
  {
    field: 'tls.serverName',
    says: [tls({ serverName: 'a.internal' }), tls({ serverName: 'b.internal' })],
    read: (settings) => settings.tls?.serverName,
    holds: ['a.internal', 'b.internal'],
    refused: [tls({ serverName: '127.0.0.1' }), 'tls.serverName is "127.0.0.1": expected a host name'],
  },
  {
    field: 'tls.minVersion',
    says: [tls({ minVersion: 'TLSv1.3' }), tls({ minVersion: 'TLSv1.2' })],
    read: (settings) => settings.tls?.minVersion,
    holds: ['TLSv1.3', 'TLSv1.2'],
    refused: [tls({ minVersion: 'TLSv1' }), 'tls.minVersion is "TLSv1": expected '],
  },
  {
    field: 'mirror',
    says: [mirror({}), { mirror: 'off' }],
    read: (settings) => settings.mirror?.service,
    holds: ['b', undefined],
    refused: [{ mirror: 'b' }, 'mirror is "b": expected off or an object'],
  },
  {
    field: 'mirror.service',
    says: [{ mirror: { service: 'b' } }, { mirror: { service: 'c' } }],
    read: (settings) => settings.mirror?.service,
    holds: ['b', 'c'],
    refused: [{ mirror: { service: 'd' } }, 'mirror.service is "d", which is no service'],
  },
  {
    field: 'mirror.percent',
    says: [mirror({ percent: 5 }), mirror({ percent: 0 })],
    read: (settings) => settings.mirror?.percent,
    holds: [5, 0],
    refused: [mirror({ percent: 101 }), 'mirror.percent is 101: expected a number from 0 to 100'],
  },
  {
    field: 'mirror.methods',
    says: [mirror({ methods: ['GET'] }), mirror({ methods: ['POST'] })],
    read: (settings) => settings.mirror?.methods,
    holds: [['GET'], ['POST']],
    refused: [mirror({ methods: ['get'] }), 'mirror.methods[0] is "get": expected a list of methods'],
  },
  {
    field: 'mirror.body',
    says: [mirror({ body: '1KiB' }), mirror({ body: 0 })],
    read: (settings) => settings.mirror?.maxBodyBytes,
    holds: [1024, 0],
    refused: [mirror({ body: '1GiB' }), 'mirror.body is "1GiB": expected '],
  },
  {
    field: 'mirror.timeout',
    says: [mirror({ timeout: '1s' }), mirror({ timeout: '2s' })],
    read: (settings) => settings.mirror?.timeoutMs,
    holds: [1000, 2000],
    refused: [mirror({ timeout: 'soon' }), `mirror.timeout is "soon": ${DURATION}`],
  },
];

export const POLICY_FIELDS: readonly PolicyField[] = [
  ...ofAuth,
  ...ofTimeAndAmount,
  ...ofCompression,
  ...ofBrowsers,
  ...ofFields,
  ...ofReplicas,
  ...ofUpstreams,
];
