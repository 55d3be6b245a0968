import type { IncomingHttpHeaders } from 'node:http';
import CachePolicy from 'http-cache-semantics';

type Fields = Readonly<Record<string, string>>;

/** What a request lets a cache do (RFC 9111 section 5.2.1). */
export interface RequestDirectives {
  /** A stored answer may be used. */
  readonly mayUse: boolean;
  /** The answer may be stored. */
  readonly mayStore: boolean;
}

/** Requests whose answers depend on more than the key, or whose sender wants the service itself. */
export function requestDirectives(headers: IncomingHttpHeaders): RequestDirectives {
  const asked = `${headers['cache-control'] ?? ''},${headers.pragma ?? ''}`.toLowerCase();
  const whole = headers.range === undefined && headers.upgrade === undefined;
  const mayStore = whole && !asked.includes('no-store');
  return { mayStore, mayUse: mayStore && !/no-cache|max-age=["]?0(?!\d)/.test(asked) };
}

/**
 * How long an answer may be used without asking the service again, in milliseconds; 0 means it must not be
 * stored. A shared cache's rules (RFC 9111 section 3), plus `defaultTtlMs` for a 200 that says nothing of its own.
 */
export function freshnessLifetimeMs(status: number, fields: Fields, defaultTtlMs: number): number {
  const isEventStream = fields['content-type']?.startsWith('text/event-stream') ?? false;
  if (status !== 200 || fields['set-cookie'] !== undefined || variesOnEverything(fields) || isEventStream)
    return 0;
  // Directive names are case-insensitive; the library compares them as they are.
  const headers = { ...fields, 'cache-control': fields['cache-control']?.toLowerCase() };
  // The identity is in the key, so the library need not know that the request was authenticated.
  const policy = new CachePolicy(
    { method: 'GET', url: '', headers: {} },
    { status, headers },
    { cacheHeuristic: 0 },
  );
  if (!policy.storable()) return 0;
  return saysItsOwnLifetime(headers) ? policy.timeToLive() : defaultTtlMs;
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

function saysItsOwnLifetime(headers: Readonly<Record<string, string | undefined>>): boolean {
  return (
    headers.expires !== undefined ||
    /s-maxage|max-age|no-cache/.test(headers['cache-control'] ?? '') ||
    (headers.pragma?.includes('no-cache') ?? false)
  );
}
