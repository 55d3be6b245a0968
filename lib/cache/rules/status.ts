/** Why a request went on to the service (RFC 9211 section 2.2). */
export type Forward = 'uri-miss' | 'vary-miss' | 'stale' | 'request' | 'bypass' | 'method';

/** How the cache has handled one request, in the words of RFC 9211. */
export type Verdict =
  | { readonly kind: 'hit'; readonly ttlMs: number }
  | {
      readonly kind: 'forward';
      readonly reason: Forward;
      /** It was served the response to another request. */
      readonly collapsed?: boolean;
      /** The response is stored. */
      readonly stored?: boolean;
      /** The service's status, when the client gets something else. */
      readonly status?: number;
      /** Of the stored response that was served after all. */
      readonly ttlMs?: number;
      readonly detail?: string;
    };

/** The member for `Cache-Status`. */
export function cacheStatus(verdict: Verdict): string {
  if (verdict.kind === 'hit') return `gateway; hit; ttl=${seconds(verdict.ttlMs)}`;
  const { reason, status, ttlMs, stored, collapsed, detail } = verdict;
  let member = `gateway; fwd=${reason}`;
  if (status !== undefined) member += `; fwd-status=${status}`;
  if (ttlMs !== undefined) member += `; ttl=${seconds(ttlMs)}`;
  if (stored) member += '; stored';
  if (collapsed) member += '; collapsed';
  return detail === undefined ? member : `${member}; detail=${detail}`;
}

/** The same in one word, for `X-Cache` and the access log. A hit has cost the service nothing. */
export function outcomeOf(verdict: Verdict): 'hit' | 'miss' | 'bypass' {
  if (verdict.kind === 'hit' || verdict.collapsed || verdict.detail !== undefined) return 'hit';
  return verdict.reason === 'bypass' || verdict.reason === 'method' ? 'bypass' : 'miss';
}

function seconds(ms: number): number {
  return Math.floor(ms / 1000);
}
