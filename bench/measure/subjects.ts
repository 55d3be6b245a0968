import type { ServerName } from '../servers/servers.ts';

/** A request as one contender gets it. */
export interface LoadRequest {
  readonly path: string;
  readonly method?: 'POST';
  /** Sent to the gateway's internal port. */
  readonly internal?: boolean;
  /** With a valid token. */
  readonly token?: boolean;
  /** No URL comes twice. */
  readonly distinct?: boolean;
  /** A file of request targets that are asked for in turn, in place of `path`: lines of one length. */
  readonly paths?: string;
  /** A file of tokens that are sent in turn. */
  readonly tokens?: string;
  readonly bodyBytes?: number;
}

/** One row of the table: a server and the way it is asked. */
export interface Contender {
  readonly name: string;
  readonly server: ServerName;
  readonly request: LoadRequest;
  /** What the gateway's cache must say to these requests. */
  readonly cache?: 'HIT' | 'MISS';
}

/** What every contender must answer to every request. */
export interface Expectation {
  readonly status: number;
  /** Length of the content; left out where contenders differ in their error bodies. */
  readonly bytes?: number;
}

/** Something to measure, side by side. */
export interface Subject {
  readonly name: string;
  readonly title: string;
  readonly kind: 'http' | 'webSocket';
  readonly connections: number;
  /** How many of the connections ask at a time. Set: the load comes from clients that keep their connections. */
  readonly atATime?: number;
  /** Content of a request and its answer, where the cost of a MiB is of interest. */
  readonly mibPerRequest?: number;
  readonly expects: Expectation;
  readonly contenders: readonly Contender[];
  /** Contenders whose figures the others' are divided by. */
  readonly references: readonly string[];
  /** Requests per second, for latencies. Default: as many as each can take. */
  readonly rate?: number;
}

const KIB = 1024;
const MIB = 1024 * KIB;
const CONNECTIONS = 50;
/** What one core takes of each contender without being full. */
const STEADY_RATE = 3_000;
/** Of large bodies: more would only queue for the memory bus. */
const FEW_CONNECTIONS = 8;

const PROXIES = [
  '@fastify/http-proxy',
  'fast-gateway',
  'http-proxy-middleware',
  'nginx',
  'haproxy',
  'caddy',
  'traefik',
] as const satisfies readonly ServerName[];

/** A gateway on a path of a service: internal, external, and external with Redis. */
function gateways(path: string, request: Partial<LoadRequest> = {}, cache?: 'MISS'): Contender[] {
  return [
    {
      name: 'gateway internal',
      server: 'gateway',
      request: { ...request, path: `/internal${path}`, internal: true },
    },
    {
      name: 'gateway external',
      server: 'gateway',
      request: { ...request, path, token: true },
      ...(cache && { cache }),
    },
    {
      name: 'gateway external + Redis',
      server: 'gateway + Redis',
      request: { ...request, path, token: true },
      ...(cache && { cache }),
    },
  ];
}

function peers(servers: readonly ServerName[], request: LoadRequest): Contender[] {
  return servers.map((server) => ({ name: server, server, request }));
}

const forwarded = { path: '/budgeting/api/transactions', distinct: true };
const cached = '/budgeting/api/cached';
const posted = { method: 'POST', bodyBytes: KIB } as const;
const uploaded = { method: 'POST', bodyBytes: MIB } as const;

/** In the order in which they are measured. */
export const SUBJECTS: readonly Subject[] = [
  {
    name: 'forward',
    title: 'GET, 1 KiB, no URL twice',
    kind: 'http',
    connections: CONNECTIONS,
    expects: { status: 200, bytes: KIB },
    contenders: [
      ...gateways(forwarded.path, { distinct: true }, 'MISS'),
      ...peers([...PROXIES, 'express'], forwarded),
    ],
    references: ['traefik', '@fastify/http-proxy', 'nginx'],
  },
  {
    name: 'workers',
    title: 'GET, 1 KiB, no URL twice, by one thread and by two',
    kind: 'http',
    connections: CONNECTIONS,
    expects: { status: 200, bytes: KIB },
    contenders: [
      ...gateways(forwarded.path, { distinct: true }, 'MISS').slice(0, 2),
      ...gateways(forwarded.path, { distinct: true }, 'MISS')
        .slice(0, 2)
        .map((contender) => ({
          ...contender,
          name: contender.name.replace('gateway', '2 workers'),
          server: 'gateway, 2 workers' as const,
        })),
    ],
    references: ['gateway internal', 'gateway external'],
  },
  {
    name: 'hit',
    title: 'GET, 1 KiB, from the cache',
    kind: 'http',
    connections: CONNECTIONS,
    expects: { status: 200, bytes: KIB },
    contenders: [
      { name: 'gateway', server: 'gateway', request: { path: cached, token: true }, cache: 'HIT' },
      {
        name: 'gateway + Redis',
        server: 'gateway + Redis',
        request: { path: cached, token: true },
        cache: 'HIT',
      },
      { name: 'express', server: 'express', request: { path: cached } },
    ],
    references: ['express', 'gateway'],
  },
  {
    name: '401',
    title: 'GET without a token, refused',
    kind: 'http',
    connections: CONNECTIONS,
    expects: { status: 401 },
    contenders: [
      { name: 'gateway', server: 'gateway', request: { path: '/budgeting/api/transactions' } },
      { name: 'express', server: 'express', request: { path: '/unauthorized' } },
    ],
    references: ['express'],
  },
  {
    name: '429',
    title: 'GET of a busy service, refused',
    kind: 'http',
    connections: CONNECTIONS,
    expects: { status: 429 },
    contenders: [
      { name: 'gateway', server: 'gateway', request: { path: '/busy/api', token: true } },
      { name: 'express', server: 'express', request: { path: '/busy' } },
    ],
    references: ['express'],
  },
  {
    name: 'post',
    title: 'POST, 1 KiB each way',
    kind: 'http',
    connections: CONNECTIONS,
    expects: { status: 200, bytes: KIB },
    contenders: [
      ...gateways('/budgeting/posted', posted),
      ...peers(PROXIES, { path: '/budgeting/posted', ...posted }),
    ],
    references: ['traefik', '@fastify/http-proxy', 'gateway external'],
  },
  {
    name: 'download',
    title: 'GET, 1 MiB',
    kind: 'http',
    connections: FEW_CONNECTIONS,
    expects: { status: 200, bytes: MIB },
    contenders: [
      ...gateways('/budgeting/mib').slice(0, 1),
      {
        name: 'gateway external',
        server: 'gateway',
        request: { path: '/budgeting/mib', token: true, distinct: true },
      },
      ...peers(['@fastify/http-proxy', 'http-proxy-middleware', 'nginx', 'haproxy'], {
        path: '/budgeting/mib',
      }),
    ],
    references: ['http-proxy-middleware', '@fastify/http-proxy', 'nginx'],
  },
  {
    name: 'upload',
    title: 'POST, 1 MiB',
    kind: 'http',
    connections: FEW_CONNECTIONS,
    expects: { status: 200, bytes: KIB },
    contenders: [
      ...gateways('/budgeting/posted', uploaded).slice(0, 2),
      ...peers(['@fastify/http-proxy', 'http-proxy-middleware', 'nginx', 'haproxy'], {
        path: '/budgeting/posted',
        ...uploaded,
      }),
    ],
    references: ['http-proxy-middleware', '@fastify/http-proxy', 'nginx'],
  },
  {
    name: 'websocket',
    title: 'WebSocket, 64 bytes and their echo',
    kind: 'webSocket',
    connections: CONNECTIONS,
    expects: { status: 101 },
    contenders: [
      ...gateways('/echo/ws').slice(0, 2),
      ...peers(['@fastify/http-proxy', 'http-proxy-middleware', 'nginx', 'haproxy', 'caddy', 'traefik'], {
        path: '/echo/ws',
      }),
    ],
    references: ['http-proxy-middleware', '@fastify/http-proxy', 'nginx'],
  },
  {
    name: 'latency',
    title: `GET, 1 KiB, ${STEADY_RATE.toLocaleString('en')} requests a second`,
    kind: 'http',
    connections: CONNECTIONS,
    expects: { status: 200, bytes: KIB },
    contenders: [
      ...gateways(forwarded.path, { distinct: true }, 'MISS').slice(0, 2),
      { name: 'gateway, hits', server: 'gateway', request: { path: cached, token: true }, cache: 'HIT' },
      {
        name: 'gateway, stored misses',
        server: 'gateway, large cache',
        request: { path: forwarded.path, token: true, distinct: true },
        cache: 'MISS',
      },
      ...peers(['traefik', 'caddy', '@fastify/http-proxy', 'nginx'], forwarded),
      { name: 'service', server: 'service', request: { path: '/api/transactions', distinct: true } },
    ],
    references: ['traefik'],
    rate: STEADY_RATE,
  },
];

/** What is measured of a gateway that has nothing to do. */
export const IDLE_SUBJECTS: readonly string[] = ['start', 'clients'];

export const SUBJECT_NAMES: readonly string[] = [...SUBJECTS.map(({ name }) => name), ...IDLE_SUBJECTS];

/** The same subject with the gateway of another checkout in place of the peers, to see what a change has brought. */
export function againstBefore(subject: Subject): Subject {
  const own = subject.contenders.filter(({ server }) => server === 'gateway');
  const before = own.map((contender) => ({
    ...contender,
    name: `${contender.name} before`,
    server: 'gateway before' as const,
  }));
  return { ...subject, contenders: [...own, ...before], references: before.map(({ name }) => name) };
}
