import CachePolicy from 'http-cache-semantics';
import { LRUCache } from 'lru-cache';
import { type Directives, parseDirectives, secondsOf, secondsOfText, targetedControl } from './directives.ts';
import { parseHttpDate } from './httpDate.ts';
import { variesOnEverything } from './vary.ts';

type Fields = Readonly<Partial<Record<string, string | undefined>>>;

/** Maximum lifetime of a response, whatever it says: one year. */
const MAX_LIFETIME_MS = 365 * 24 * 60 * 60 * 1000;

/** Memory for judgements: a service says the same of most of its responses. */
const MOST_JUDGED_BYTES = 512 * 1024;
/** What a judgement costs beside its key. */
const JUDGED_OVERHEAD_BYTES = 400;
/** A longer `Cache-Control` is judged each time. */
const LONGEST_CONTROL = 512;

/** What a shared cache may do with a response. */
export interface ResponseTerms {
  /** How long it is fresh, counted from when the service made it. 0: it always needs validation. */
  readonly lifetimeMs: number;
  /** Whether others than the sender of the request may have it (RFC 9111 section 3.5). */
  readonly isShared: boolean;
  /** Whether it may be served stale if the request or the gateway's settings allow that (RFC 9111 section 4.2.4). */
  readonly mayBeStale: boolean;
  /** How long after `lifetimeMs` it may be served while it is revalidated (RFC 5861 section 3). */
  readonly staleWhileRevalidateMs: number;
  /** How long after `lifetimeMs` it may be served instead of an error (RFC 5861 section 4). */
  readonly staleIfErrorMs: number;
}

/** What the library says of all responses with the same status and directives. */
interface Judgement {
  readonly terms: ResponseTerms | undefined;
}

/** Tells the terms of responses. Those with the same status and directives are judged once. */
export class Policy {
  readonly #defaultTtlMs: number;
  /** Not by `max`, which takes the room for all of them at once, for each service. */
  readonly #judgements = new LRUCache<string, Judgement>({
    maxSize: MOST_JUDGED_BYTES,
    maxEntrySize: JUDGED_OVERHEAD_BYTES + LONGEST_CONTROL,
    sizeCalculation: (_judgement, key) => JUDGED_OVERHEAD_BYTES + key.length,
  });

  /** @param defaultTtlMs the lifetime of a 200 that says nothing of its own; 0: it is not stored */
  constructor(defaultTtlMs: number) {
    this.#defaultTtlMs = defaultTtlMs;
  }

  /** The terms of a response to a GET. Undefined: it must not be stored (RFC 9111 section 3). */
  termsOf(status: number, fields: Fields, nowMs: number): ResponseTerms | undefined {
    if (fields['set-cookie'] !== undefined || variesOnEverything(fields.vary) || isEndless(fields))
      return undefined;
    const { terms } = this.#judge(status, fields, nowMs);
    if (!terms) return undefined;
    const isUseful = terms.lifetimeMs > ageMs(fields) || (status === 200 && hasValidator(fields));
    return isUseful ? terms : undefined;
  }

  #judge(status: number, fields: Fields, nowMs: number): Judgement {
    const { control, expires } = controlsOf(fields);
    // What `Expires` comes to depends on when it was said.
    if (expires !== undefined) return this.#ask(status, control, { expires, date: fields.date, nowMs });
    const key = `${status} ${control}`;
    const known = this.#judgements.get(key);
    if (known) return known;
    const judgement = this.#ask(status, control, { expires, date: fields.date, nowMs });
    this.#judgements.set(key, judgement);
    return judgement;
  }

  #ask(status: number, control: string, dates: Dates): Judgement {
    const directives = parseDirectives(control);
    const hasLifetime =
      dates.expires !== undefined || ['s-maxage', 'max-age'].some((name) => directives.has(name));
    const library = asLibrarySees(hasLifetime ? asUnderstood(status, directives) : status, directives, dates);
    if (!library.storable()) return { terms: undefined };
    const isExplicit = hasLifetime || directives.has('no-cache');
    if (!isExplicit && this.#defaultTtlMs === 0) return { terms: undefined };
    const lifetimeMs = isExplicit ? library.maxAge() * 1000 : status === 200 ? this.#defaultTtlMs : 0;
    return { terms: { lifetimeMs: Math.min(lifetimeMs, MAX_LIFETIME_MS), ...allowances(directives) } };
  }
}

/** How old the response was when it was sent, by its `Age`; of several the first counts (RFC 9111 section 5.1). */
export function ageMs({ age }: Fields): number {
  if (age === undefined) return 0;
  const comma = age.indexOf(',');
  return (secondsOfText(comma === -1 ? age : age.slice(0, comma).trim()) ?? 0) * 1000;
}

/** Whether the response can be validated (RFC 9111 section 4.3.1). */
export function hasValidator(fields: Fields): boolean {
  return fields.etag !== undefined || fields['last-modified'] !== undefined;
}

interface Controls {
  /** Directives as they are spelt. */
  readonly control: string;
  readonly expires: string | undefined;
}

/**
 * What controls this cache: `CDN-Cache-Control` when it is there and can be read, and then nothing else
 * (RFC 9213 section 2.2); otherwise `Cache-Control` and `Expires`, or `Pragma` where there is neither.
 */
function controlsOf(fields: Fields): Controls {
  const targeted = targetedControl(fields['cdn-cache-control']);
  if (targeted !== undefined) return { control: targeted, expires: undefined };
  const pragma =
    fields['cache-control'] === undefined && fields.pragma !== undefined && /no-cache/i.test(fields.pragma);
  return { control: pragma ? 'no-cache' : (fields['cache-control'] ?? ''), expires: fields.expires };
}

/**
 * The status as the library is to see it. A response with an explicit lifetime may be stored whatever its final status is,
 * except 206, 304, and with `must-understand` (RFC 9111 section 3). The library stores those it knows only, such as 200.
 */
function asUnderstood(status: number, directives: Directives): number {
  const isFinal = status >= 200 && status <= 599;
  return isFinal && status !== 206 && status !== 304 && !directives.has('must-understand') ? 200 : status;
}

interface Dates {
  readonly expires: string | undefined;
  readonly date: string | undefined;
  readonly nowMs: number;
}

/**
 * The response in a form that http-cache-semantics 4.3 judges correctly. The library compares names of directives case by
 * case, takes `Expires: 3000` for a year, gives `immutable` a day, and calls a fresh response stale for `must-revalidate`
 * and `proxy-revalidate`, which are about stale ones only (`mayBeStale` covers them). It is not told of `Authorization`:
 * the identity is in the key.
 */
function asLibrarySees(status: number, directives: Directives, { expires, date, nowMs }: Dates): CachePolicy {
  const dateMs = parseHttpDate(date, nowMs) ?? nowMs;
  const expiresMs = expires === undefined ? undefined : (parseHttpDate(expires, nowMs) ?? 0);
  return new CachePolicy(
    { method: 'GET', url: '', headers: {} },
    {
      status,
      headers: {
        'cache-control': forLibrary(directives),
        date: new Date(dateMs).toUTCString(),
        ...(expiresMs !== undefined && { expires: new Date(expiresMs).toUTCString() }),
      },
    },
    { cacheHeuristic: 0, immutableMinTimeToLive: 0 },
  );
}

const LIFETIMES: ReadonlySet<string> = new Set(['max-age', 's-maxage']);
/** Why these are left out is said at `asLibrarySees`. */
const NOT_FOR_LIBRARY: ReadonlySet<string> = new Set(['must-revalidate', 'proxy-revalidate', 'immutable']);

function forLibrary(directives: Directives): string {
  const understood: string[] = [];
  for (const name of directives.keys()) {
    if (NOT_FOR_LIBRARY.has(name)) continue;
    // Who understands the status may store what others must not (RFC 9111 section 5.2.2.3).
    if (name === 'no-store' && directives.has('must-understand')) continue;
    understood.push(LIFETIMES.has(name) ? `${name}=${secondsOf(directives, name)}` : name);
  }
  return understood.join(', ');
}

function allowances(directives: Directives): Omit<ResponseTerms, 'lifetimeMs'> {
  const mustAsk = ['must-revalidate', 'proxy-revalidate', 'no-cache'].some((name) => directives.has(name));
  const allowed = (name: string) => (mustAsk ? 0 : (secondsOf(directives, name) ?? 0) * 1000);
  return {
    isShared: directives.has('public') || directives.has('s-maxage'),
    // s-maxage forbids it as well, except where the response itself says how long (RFC 9111 section 5.2.2.10).
    mayBeStale: !mustAsk && !directives.has('s-maxage'),
    staleWhileRevalidateMs: allowed('stale-while-revalidate'),
    staleIfErrorMs: allowed('stale-if-error'),
  };
}

/** A stream of events has no end that could be waited for. */
function isEndless(fields: Fields): boolean {
  return fields['content-type']?.toLowerCase().startsWith('text/event-stream') ?? false;
}
