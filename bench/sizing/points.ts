import type { ServerName } from '../servers/servers.ts';

/** What a gateway is given to do before its memory is looked at. */
export interface Point {
  readonly subject: 'rest' | 'idle' | 'active' | 'cache';
  readonly name: string;
  readonly server: ServerName;
  /** Connections, or responses in the cache. */
  readonly count: number;
  /** Of one response. */
  readonly path: string;
  readonly env?: Readonly<Record<string, string>>;
}

export const SUBJECTS = ['rest', 'idle', 'active', 'cache'] as const;

const COUNTS = [100, 1_000, 10_000];
const KIB_PATH = '/budgeting/api?n=';
const MIB_PATH = '/budgeting/mib?n=';
const STORES = [
  ['embedded', 'gateway'],
  ['Redis', 'gateway + Redis'],
] as const;
/** Nothing is turned away, on a slow machine either. */
const ROOMY = {
  CACHE_MAX_BYTES: '512MiB',
  MAX_CONNECTIONS: '20000',
  FAIR_SHARE: '1',
  HEADERS_TIMEOUT: '10m',
  KEEP_ALIVE_TIMEOUT: '10m',
  REQUEST_TIMEOUT: '1m',
};

/** In the order in which they are measured. */
export const POINTS: readonly Point[] = [
  ...STORES.map(([store, server]): Point => ({ ...at('rest', store, server), count: 0 })),
  { ...at('rest', 'embedded, WORKERS=2', 'gateway, 2 workers'), count: 0 },
  ...COUNTS.map((count): Point => ({ ...at('idle', 'embedded', 'gateway'), count })),
  ...COUNTS.map((count): Point => ({ ...at('active', 'embedded', 'gateway'), count })),
  { ...at('active', 'Redis', 'gateway + Redis'), count: 1_000 },
  { ...at('active', 'embedded, WORKERS=2', 'gateway, 2 workers'), count: 1_000 },
  ...STORES.flatMap(([store, server]): Point[] => [
    { ...at('cache', `1 MiB, ${store}`, server), count: 16, path: MIB_PATH },
    { ...at('cache', `1 MiB, ${store}`, server), count: 64, path: MIB_PATH },
    { ...at('cache', `1 KiB, ${store}`, server), count: 10_000 },
  ]),
];

function at(subject: Point['subject'], name: string, server: ServerName): Omit<Point, 'count'> {
  return { subject, name, server, path: KIB_PATH, env: ROOMY };
}
