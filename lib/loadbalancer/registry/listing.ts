import { z } from 'zod';
import { replicaKey } from '../instance.ts';
import { bracketed, portOf, type Registered, registeredAs } from './registered.ts';

const MAX_ENTRIES = 20_000;
const SHOWN_CHARACTERS = 60;

const TEXT = z.string().min(1).max(255);

const ENTRY = z.object({
  id: TEXT.nullish(),
  service_id: TEXT.nullish(),
  name: TEXT,
  host: TEXT.nullish(),
  port: z.int().min(1).max(65_535).nullish(),
  url: z.string().nullish(),
  status: z.enum(['healthy', 'unhealthy', 'unknown']).nullish(),
  request_count: z.int().min(0).nullish(),
});

type Entry = z.infer<typeof ENTRY>;

/** A replica as the registry lists it. */
export interface ListedReplica {
  /** What tells it from the others of its service: its host and port. */
  readonly key: string;
  /** What the registry knows it by: its `id` or `service_id`, if it has one, and where it says that it listens. */
  readonly registered: Registered;
  /** Of its service. */
  readonly name: string;
  /** Scheme, host and port: its `url` or, without one, `http://host:port`. */
  readonly url: URL;
  /**
   * False only when the registry has found it `unhealthy`. A registry lists new replicas as `unknown`, some registries
   * for ever: these replicas get requests, and their breakers judge them.
   */
  readonly healthy: boolean;
  /** Its part of the requests, 0 or more. Default: what the settings say, or 1. */
  readonly weight?: number;
  /** Requests ever sent to it, by all gateways. */
  readonly requestCount: number;
}

export interface Listing<Entry = ListedReplica> {
  /**
   * No two replicas of a service at the same host and port. Of several the last one counts, which registered last, with
   * the highest request count of them.
   */
  readonly listed: readonly Entry[];
  /** Why entries were left out: one line each, which names the entry. */
  readonly skipped: readonly string[];
}

/** The body is no list of replicas. */
export class ListingError extends Error {
  override readonly name = 'ListingError';
}

/**
 * Reads what a registry answers to `GET /services`: an array of entries, or `{"services": [...]}` around one. A list
 * that is `null` is an empty one.
 * Entries that do not parse are skipped. Throws `ListingError` when there is no such array, when it has more than
 * 20,000 entries, and when it has some of which none can be read: then the registry means something else.
 */
export function parseListing(body: unknown): Listing {
  const entries = entriesOf(body);
  const found = new Map<string, ListedReplica>();
  const skipped: string[] = [];
  for (const [index, entry] of entries.entries()) {
    const replica = replicaFrom(entry);
    if (typeof replica === 'string') {
      skipped.push(`${labelOf(entry, index)}: ${replica}`);
      continue;
    }
    const place = JSON.stringify([replica.name, replica.key]);
    const earlier = found.get(place);
    if (earlier) {
      skipped.push(`${labelOf(entry, index)}: takes the place of an earlier entry at the same host and port`);
    }
    found.set(place, latest(replica, earlier));
  }
  if (entries.length > 0 && found.size === 0) {
    throw new ListingError(`none of the ${entries.length} entries can be read, such as ${skipped[0]}`);
  }
  return { listed: [...found.values()], skipped };
}

function latest(replica: ListedReplica, earlier: ListedReplica | undefined): ListedReplica {
  if (!earlier) return replica;
  return { ...replica, requestCount: Math.max(replica.requestCount, earlier.requestCount) };
}

function entriesOf(body: unknown): readonly unknown[] {
  // How some registries write an empty list.
  const entries = (isObject(body) && 'services' in body ? body.services : body) ?? [];
  if (!Array.isArray(entries)) {
    throw new ListingError(`expected an array or {"services": [...]}, got ${describe(entries)}`);
  }
  if (entries.length > MAX_ENTRIES) {
    throw new ListingError(`expected at most ${MAX_ENTRIES} entries, got ${entries.length}`);
  }
  return entries;
}

/** The replica, or the reason why the entry is none. */
function replicaFrom(entry: unknown): ListedReplica | string {
  const { data, error } = ENTRY.safeParse(entry);
  if (error) return error.issues.map(({ path, message }) => [...path, message].join(': ')).join('; ');
  const id = data.id ?? data.service_id ?? undefined;
  // However it is encoded, a URL takes it for a way up: the registry would be told of something else.
  if (isWayUp(id)) return 'id: no URL can hold it';
  if (isWayUp(data.host)) return 'host: no URL can hold it';
  const url = originFrom(data);
  if (typeof url === 'string') return url;
  const { name, status, request_count, host = null, port } = data;
  const registered = registeredAs({ id, host: host ?? url.hostname, port: port ?? portOf(url) });
  const key = replicaKey(registered.host, url);
  return { key, registered, name, url, healthy: status !== 'unhealthy', requestCount: request_count ?? 0 };
}

function isWayUp(name: string | null | undefined): boolean {
  return name === '.' || name === '..';
}

function originFrom({ url, host, port }: Entry): URL | string {
  if (url) return parseOrigin(url) ?? 'url: expected an http or https origin, without path, query and user';
  if (!host || !port) return 'it has neither url nor host and port';
  const address = `http://${bracketed(host)}:${port}`;
  // A host name whose last label is a number is none to a URL: `budgeting.1`.
  return parseOrigin(address) ?? `host: no URL can hold ${shown(address)}`;
}

function parseOrigin(address: string): URL | undefined {
  const url = URL.parse(address);
  // Equal only without user, path, query and fragment, also those that a host such as `a/b` would smuggle in.
  const isHttp = url?.protocol === 'http:' || url?.protocol === 'https:';
  return isHttp && url.href === `${url.origin}/` ? url : undefined;
}

function labelOf(entry: unknown, index: number): string {
  const named = isObject(entry) ? (entry.id ?? entry.service_id ?? entry.host ?? entry.name) : undefined;
  return typeof named === 'string' ? `entry ${index} (${shown(named)})` : `entry ${index}`;
}

function describe(body: unknown): string {
  if (typeof body === 'string') {
    if (body.trim() === '') return 'nothing';
    return `${body.trimStart().startsWith('<') ? 'HTML' : 'text'} ${shown(body)}`;
  }
  return isObject(body) ? `an object with the fields ${shown(Object.keys(body).join(', '))}` : String(body);
}

function shown(text: string): string {
  return JSON.stringify(text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}...` : text);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
