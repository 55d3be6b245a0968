import { fieldsByName } from '../../http/fields.ts';
import { comparedWithHead } from '../rules/conditional.ts';
import { entryOf } from '../stored/entries.ts';
import { type Entry, type LiveEntry, namedFields } from '../stored/entry.ts';
import type { Found } from '../stored/entryFinder.ts';
import { freshened } from '../stored/freshened.ts';
import { type Audience, audienceText, EVERYONE } from '../stored/key.ts';
import type { CacheRequest } from './cacheRequest.ts';
import type { FetchContext } from './fetchContract.ts';

/**
 * Freshens the stored response by the 200 to a HEAD, or makes it stale (RFC 9111 section 4.3.5). `found` is what was
 * known when the service was asked.
 */
export function freshenFromHead(request: CacheRequest, found: Found, context: FetchContext): void {
  const { clock, onError } = context;
  const requestedAtMs = clock.now();
  request.response.observeHead({
    head(status, lines) {
      if (status === 200) freshen(request, found, { context, requestedAtMs, lines }).catch(onError);
    },
  });
}

interface HeadResponse {
  readonly context: FetchContext;
  readonly requestedAtMs: number;
  readonly lines: readonly string[];
}

async function freshen(request: CacheRequest, asked: Found, head: HeadResponse): Promise<void> {
  const { entries } = head.context;
  const found = await entries.find(request.lookup);
  const { entry, epoch } = found;
  // What has been stored or invalidated meanwhile is newer than this response.
  if (!entry || epoch === undefined || epoch !== asked.epoch || entry.generatedAtMs > head.requestedAtMs)
    return;
  const audience = request.lookup.audiences.find((one) => audienceText(one) === entry.audience);
  const updated = audience && afterHead(entry, audience, asked.purgeVersion, head);
  if (updated)
    await entries.store(updated, audience, entries.epochFor(request.lookup, found), request.lookup);
}

/** The entry as it is to be stored from now on. Undefined: the response says nothing about it. */
function afterHead(
  entry: Entry,
  audience: Audience,
  purgeVersion: number,
  { context: { clock, policy }, requestedAtMs, lines }: HeadResponse,
): LiveEntry | undefined {
  const nowMs = clock.now();
  const fields = fieldsByName(lines);
  const compared = comparedWithHead(fields, namedFields(entry), entry.body.length);
  if (compared === 'unknown') return undefined;
  const { terms, ...rest } = freshened(entry, lines, { policy, requestedAtMs, nowMs });
  // It stays for whom it was. If everybody may have it, this response must say so again.
  const isForThem = audience !== EVERYONE || policy.termsOf(200, fields, nowMs)?.isShared === true;
  if (compared === 'different' || !terms || !isForThem) return outdated(entry, audience, nowMs);
  return entryOf({ ...rest, terms: { ...terms, isShared: audience === EVERYONE } }, audience, purgeVersion);
}

/** The entry as a stale one: it needs validation, or serves when the service fails. */
function outdated(entry: Entry, audience: Audience, nowMs: number): LiveEntry {
  const lifetimeMs = Math.min(entry.terms.lifetimeMs, nowMs - entry.generatedAtMs);
  const terms = { ...entry.terms, lifetimeMs, staleWhileRevalidateMs: 0 };
  return entryOf({ ...entry, terms }, audience, entry.purgeVersion);
}
