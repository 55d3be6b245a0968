import type { Contender, Subject } from '../measure/subjects.ts';
import { type ServiceEntry, serviceEntry } from '../servers/servers.ts';
import type { Site } from '../servers/site.ts';

const KIB = 1024;
const CONNECTIONS = 50;
/** The service says that its responses to this must not be stored: a setting for that would ask much of old commits. */
const UNSTORED = '/budgeting/unstored';

/** One way of asking a gateway. */
export interface Mode {
  readonly name: string;
  readonly title: string;
  readonly request: Contender['request'];
  readonly status: number;
  readonly cache?: 'HIT' | 'MISS';
}

/** In the order in which they are measured. */
export const MODES: readonly Mode[] = [
  { name: '401', title: 'GET without a token, refused', request: { path: UNSTORED }, status: 401 },
  {
    name: 'internal forward',
    title: 'GET, 1 KiB, on the internal port',
    request: { path: `/internal${UNSTORED}`, internal: true },
    status: 200,
  },
  {
    name: 'external forward',
    title: 'GET, 1 KiB, with a token, a response that must not be stored',
    request: { path: UNSTORED, token: true },
    status: 200,
  },
  {
    name: 'hit',
    title: 'GET, 1 KiB, with a token, from the cache',
    request: { path: '/budgeting/api/cached', token: true },
    status: 200,
    cache: 'HIT',
  },
  {
    name: 'stored miss',
    title: 'GET, 1 KiB, with a token, no URL twice: each response is stored',
    request: { path: '/budgeting/api', token: true, distinct: true },
    status: 200,
    cache: 'MISS',
  },
];

export const MODE_NAMES: readonly string[] = MODES.map(({ name }) => name);

/** The service of both gateways. */
export function guardServices({ upstream }: Site): ServiceEntry[] {
  return [serviceEntry('/budgeting', [upstream], { cache: { ttl: '1h' } })];
}

/** The mode as the rest of the bench knows what is measured. */
export function subjectOf({ name, title, status }: Mode): Subject {
  const bytes = status === 200 ? { bytes: KIB } : {};
  return {
    name,
    title,
    kind: 'http',
    connections: CONNECTIONS,
    expects: { status, ...bytes },
    contenders: [],
    references: [],
  };
}
