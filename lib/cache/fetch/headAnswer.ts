import { fieldsByName } from '../../http/fields.ts';
import { comparedWithHead } from '../rules/conditional.ts';
import { entryOf, type Found } from '../stored/entries.ts';
import { type Entry, type LiveEntry, namedFields } from '../stored/entry.ts';
import { type Audience, audienceText, EVERYONE } from '../stored/key.ts';
import { refreshed } from '../stored/refreshed.ts';
import type { FillContext } from './fill.ts';
import type { Visit } from './visit.ts';

/**
 * Lets what is stored for a HEAD learn from its 200: that it is good still, or that it is stale (RFC 9111 section
 * 4.3.5). `found` is what was known when the service was asked.
 */
export function learnFromHead(visit: Visit, found: Found, context: FillContext): void {
  const { clock, onError } = context;
  const requestedAtMs = clock.now();
  visit.response.observeHead({
    head(status, lines) {
      if (status === 200) learn(visit, found, { context, requestedAtMs, lines }).catch(onError);
    },
  });
}

interface HeadAnswer {
  readonly context: FillContext;
  readonly requestedAtMs: number;
  readonly lines: readonly string[];
}

async function learn(visit: Visit, asked: Found, head: HeadAnswer): Promise<void> {
  const { entries } = head.context;
  const found = await entries.find(visit.quest);
  const { entry, epoch } = found;
  // What has been stored or made void meanwhile is newer than this answer.
  if (!entry || epoch === undefined || epoch !== asked.epoch || entry.generatedAtMs > head.requestedAtMs)
    return;
  const audience = visit.quest.audiences.find((one) => audienceText(one) === entry.audience);
  const learnt = audience && afterHead(entry, audience, asked.purgeVersion, head);
  if (learnt) await entries.store(learnt, audience, entries.epochFor(visit.quest, found), visit.quest);
}

/** The entry as it is to be stored from now on; undefined when the answer tells nothing about it. */
function afterHead(
  entry: Entry,
  audience: Audience,
  purgeVersion: number,
  { context: { clock, policy }, requestedAtMs, lines }: HeadAnswer,
): LiveEntry | undefined {
  const nowMs = clock.now();
  const fields = fieldsByName(lines);
  const compared = comparedWithHead(fields, namedFields(entry), entry.body.length);
  if (compared === 'unknown') return undefined;
  const { terms, ...rest } = refreshed(entry, lines, { policy, requestedAtMs, nowMs });
  // It stays for whom it was. That strangers may have it the answer must say anew.
  const isForThem = audience !== EVERYONE || policy.termsOf(200, fields, nowMs)?.isShared === true;
  if (compared === 'different' || !terms || !isForThem) return outdated(entry, audience, nowMs);
  return entryOf({ ...rest, terms: { ...terms, isShared: audience === EVERYONE } }, audience, purgeVersion);
}

/** Of no use without asking, but where the service fails. */
function outdated(entry: Entry, audience: Audience, nowMs: number): LiveEntry {
  const lifetimeMs = Math.min(entry.terms.lifetimeMs, nowMs - entry.generatedAtMs);
  const terms = { ...entry.terms, lifetimeMs, staleWhileRevalidateMs: 0 };
  return entryOf({ ...entry, terms }, audience, entry.purgeVersion);
}
