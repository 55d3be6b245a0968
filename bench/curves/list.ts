import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { LoadRequest } from '../measure/subjects.ts';
import { KIB } from '../servers/content.ts';
import { serviceEntry } from '../servers/servers.ts';
import { SERVED_FILES, type Site, tokenFor } from '../servers/site.ts';
import type { Curve, PointLoad } from './curve.ts';
import { linesFile } from './linesFile.ts';

const KIBI = 1024;
const MIBI = KIBI * KIBI;
/** Enough for large content: more would only queue for the memory bus. */
const FEW_CONNECTIONS = 4;
/** Connections that ask at a time, whatever their number. */
const ASKING = 10;
/** How many answers of 1 KiB fit into the default CACHE_MAX_BYTES. */
const ANSWERS_THAT_FIT = 30_000;
/** What has a lifetime is not renewed while it is measured. */
const LONG = '1h';

const OK = { status: 200, bytes: KIB.length };
const INTERNAL = { path: '/internal/budgeting/api/transactions', internal: true };

const DECADES = [10, 30, 100, 300, 1_000, 3_000, 10_000];
/** 30,000 tokens are more than the gateway remembers, 30,000 answers are not. */
const LARGE_DECADES = [100, 1_000, 10_000, 30_000, 100_000, 1_000_000];

/** In the order in which they are measured. */
export const CURVES: readonly Curve[] = [
  {
    name: 'services',
    title: 'services of one gateway, asked in turn',
    axis: 'services',
    points: DECADES,
    gateway: (n, { upstream }) => ({
      services: Array.from({ length: n }, (_, i) => serviceEntry(servicePath(i), [upstream])),
    }),
    lines: [{ name: 'internal', load: (n, site) => servicesInTurn(n, site) }],
  },
  {
    name: 'replicas',
    title: 'replicas of one service',
    axis: 'replicas',
    points: [1, 3, 10, 30, 100, 300, 1_000],
    gateway: (n, { upstreams }) => ({ services: [serviceEntry('/budgeting', upstreams.slice(0, n))] }),
    lines: [{ name: 'internal', load: () => ({ request: INTERNAL, expects: OK }) }],
  },
  {
    name: 'connections',
    title: `keep-alive connections of clients, of which ${ASKING} ask at a time`,
    axis: 'connections',
    points: DECADES,
    lines: [
      {
        name: 'internal',
        load: (connections) => ({ request: INTERNAL, expects: OK, connections, atATime: ASKING }),
      },
    ],
  },
  {
    name: 'bodies',
    title: 'content of a request or of its answer',
    axis: 'content',
    unit: 'bytes',
    points: [KIBI, 10 * KIBI, 100 * KIBI, MIBI, 10 * MIBI, 100 * MIBI],
    lines: [
      { name: 'internal download', load: (n, site) => download(n, site, '/internal', { internal: true }) },
      {
        name: 'external download',
        load: (n, site) => download(n, site, '', { token: true, distinct: true }),
      },
      { name: 'internal upload', load: (n) => upload(n, '/internal', { internal: true }) },
      { name: 'external upload', load: (n) => upload(n, '', { token: true }) },
    ],
    figure: 'cpuUsPerMiB',
    drawnFrom: MIBI,
  },
  {
    name: 'tokens',
    title: 'valid tokens, used in turn, without the cache',
    axis: 'tokens',
    points: LARGE_DECADES,
    gateway: () => ({ env: { AUTH_CACHE_TTL: LONG, GET_CACHE_TTL: 'off' } }),
    lines: [{ name: 'external', load: tokensInTurn }],
  },
  {
    name: 'keys',
    title: 'cached URLs, asked for in turn',
    axis: 'URLs',
    points: LARGE_DECADES,
    gateway: () => ({ env: { GET_CACHE_TTL: LONG } }),
    lines: [{ name: 'external', load: keysInTurn }],
  },
];

export const CURVE_NAMES: readonly string[] = CURVES.map(({ name }) => name);

/** At how many addresses a service must answer for all of them. */
export const ADDRESSES = 1_000;

function servicesInTurn(n: number, site: Site): PointLoad {
  const target = (i: number) => `/internal${servicePath(i)}/api`;
  const paths = linesFile(site, `services-${n}`, n, target);
  return { request: { path: target(0), paths, internal: true }, expects: OK };
}

function tokensInTurn(n: number, site: Site): PointLoad {
  const tokens = linesFile(site, `tokens-${n}`, n, (i) => tokenFor(`user-${padded(i)}`, site.jwtSecret));
  return { request: { path: '/budgeting/api/transactions', tokens, token: true }, expects: OK };
}

function keysInTurn(n: number, site: Site): PointLoad {
  const target = (i: number) => `/budgeting/api/cached?page=${padded(i)}`;
  const paths = linesFile(site, `keys-${n}`, n, target);
  const cache = n <= ANSWERS_THAT_FIT ? 'HIT' : 'MISS';
  return { request: { path: target(0), paths, token: true }, expects: OK, cache };
}

function download(n: number, site: Site, mount: string, request: Omit<LoadRequest, 'path'>): PointLoad {
  const file = join(site.directory, SERVED_FILES, String(n));
  writeFileSync(file, '');
  truncateSync(file, n);
  return {
    request: { ...request, path: `${mount}/budgeting/bytes/${n}` },
    expects: { status: 200, bytes: n },
    connections: FEW_CONNECTIONS,
    mibPerRequest: n / MIBI,
  };
}

function upload(n: number, mount: string, request: Omit<LoadRequest, 'path'>): PointLoad {
  return {
    request: { ...request, path: `${mount}/echo/posted`, method: 'POST', bodyBytes: n },
    expects: OK,
    connections: FEW_CONNECTIONS,
    mibPerRequest: n / MIBI,
  };
}

function servicePath(i: number): string {
  return `/s${padded(i)}`;
}

/** Of one length, so that a larger number costs nothing by itself. */
function padded(i: number): string {
  return String(i).padStart(7, '0');
}
