import type { IncomingHttpHeaders } from 'node:http';
import CachePolicy from 'http-cache-semantics';

type Fields = Readonly<Record<string, string>>;

/** No answer is kept longer than a year, whatever it says. */
const MAX_LIFETIME_MS = 365 * 24 * 60 * 60 * 1000;

/** One member of a structured dictionary (RFC 8941 section 3.2), as far as cache directives need it. */
const DIRECTIVE = /^[a-z*][a-z0-9_.*-]*(?:=(?:"[^"\\]*"|[\w?.*:/-]+))?$/;

/** What a request lets a cache do (RFC 9111 section 5.2.1). */
export interface RequestDirectives {
  /** A stored answer may be used. */
  readonly mayUse: boolean;
  /** The answer may be stored. */
  readonly mayStore: boolean;
}

/**
 * Requests whose answers depend on more than the key, or whose sender wants the service itself. Without a verified
 * identity the key does not tell apart who sends `Authorization` (RFC 9111 section 3.5).
 */
export function requestDirectives(headers: IncomingHttpHeaders, isIdentified: boolean): RequestDirectives {
  const asked = `${headers['cache-control'] ?? ''},${headers.pragma ?? ''}`.toLowerCase();
  const whole = headers.range === undefined && headers.upgrade === undefined;
  const isTold = isIdentified || headers.authorization === undefined;
  const mayStore = whole && isTold && !asked.includes('no-store');
  return { mayStore, mayUse: mayStore && !/no-cache|max-age=["]?0(?!\d)/.test(asked) };
}

export interface FreshnessOptions {
  readonly defaultTtlMs: number;
  readonly nowMs: number;
}

/**
 * How long an answer may be used without asking the service again, in milliseconds; 0 means it must not be
 * stored. A shared cache's rules (RFC 9111 section 3), plus `defaultTtlMs` for a 200 that says nothing of its own.
 */
export function freshnessLifetimeMs(
  status: number,
  fields: Fields,
  { defaultTtlMs, nowMs }: FreshnessOptions,
): number {
  if (status !== 200 || fields['set-cookie'] !== undefined || variesOnEverything(fields) || isEndless(fields))
    return 0;
  const headers = { ...withDirectives(fields), date: fields.date ?? new Date(nowMs).toUTCString() };
  // The identity is in the key, so the library need not know that the request was authenticated.
  const policy = new CachePolicy(
    { method: 'GET', url: '', headers: {} },
    { status, headers },
    { cacheHeuristic: 0 },
  );
  if (!policy.storable()) return 0;
  // Not timeToLive(): that counts the time in which a stale answer may be used as well.
  const lifetimeMs = saysItsOwnLifetime(headers) ? policy.maxAge() * 1000 - ageMs(fields) : defaultTtlMs;
  return Math.min(lifetimeMs, MAX_LIFETIME_MS);
}

/** How old the answer was when it arrived, by its own `Age`. */
export function ageMs(fields: Fields): number {
  return /^\d{1,10}$/.test(fields.age ?? '') ? Number(fields.age) * 1000 : 0;
}

/** What the request says under the names that `Vary` lists: a stored answer serves only requests that say the same. */
export function varyingFields(
  vary: string | undefined,
  headers: IncomingHttpHeaders,
): Record<string, string> {
  const varying: Record<string, string> = {};
  for (const item of vary?.split(',') ?? []) {
    const name = item.trim().toLowerCase();
    // The key's identity stands for it, and a token must not be stored.
    if (name && name !== 'authorization') varying[name] = String(headers[name] ?? '');
  }
  return varying;
}

function variesOnEverything(fields: Fields): boolean {
  return fields.vary?.split(',').some((name) => name.trim() === '*') ?? false;
}

/** A stream of events has no end that could be waited for. */
function isEndless(fields: Fields): boolean {
  return fields['content-type']?.toLowerCase().startsWith('text/event-stream') ?? false;
}

/**
 * `CDN-Cache-Control` stands in for `Cache-Control` and `Expires` when it is there and valid (RFC 9213). Names of
 * directives are case-insensitive; the library compares them as they are.
 */
function withDirectives(fields: Fields): Record<string, string | undefined> {
  const targeted = fields['cdn-cache-control'];
  if (targeted?.split(',').every((directive) => DIRECTIVE.test(directive.trim()))) {
    return { ...fields, 'cache-control': targeted, expires: undefined };
  }
  return { ...fields, 'cache-control': fields['cache-control']?.toLowerCase() };
}

function saysItsOwnLifetime(headers: Readonly<Record<string, string | undefined>>): boolean {
  return (
    headers.expires !== undefined ||
    /s-maxage|max-age|no-cache/.test(headers['cache-control'] ?? '') ||
    (headers.pragma?.includes('no-cache') ?? false)
  );
}
