import { type FieldLines, fieldsByName } from '../../http/fields.ts';
import { withoutTransient } from '../rules/heads.ts';
import { ageMs, type Policy } from '../rules/policy.ts';
import type { Entry } from './entry.ts';
import type { Recording } from './recorder.ts';

/** Fields of the stored content, which a 304 cannot change (RFC 9111 section 3.2). */
const OF_CONTENT: ReadonlySet<string> = new Set([
  'content-length',
  'content-encoding',
  'content-type',
  'content-range',
]);

export interface RefreshOptions {
  readonly policy: Policy;
  readonly requestedAtMs: number;
  readonly nowMs: number;
}

/** What a 304 makes of a stored answer (RFC 9111 section 4.3.4); without terms it must not be stored again. */
export function refreshed(
  { status, fields, body }: Entry,
  notModified: FieldLines,
  { policy, requestedAtMs, nowMs }: RefreshOptions,
): Omit<Recording, 'terms'> & Partial<Pick<Recording, 'terms'>> {
  const named = fieldsByName(notModified);
  const news = withoutTransient(notModified, named.connection);
  const merged = merge(fields, news);
  const current = { ...fieldsByName(merged), ...(named.age && { age: named.age }) };
  const terms = policy.termsOf(status, current, nowMs);
  return { status, fields: merged, body, generatedAtMs: requestedAtMs - ageMs(named), terms };
}

/**
 * Every field line of `news` takes the place of all lines of its name; what is told by `Vary` is added instead, or the
 * response would be given to requests that it was never selected for.
 */
function merge(fields: FieldLines, news: FieldLines): string[] {
  const replaced = new Set<string>();
  const added: string[] = [];
  for (let i = 0; i < news.length; i += 2) {
    const name = (news[i] as string).toLowerCase();
    if (OF_CONTENT.has(name)) continue;
    if (name !== 'vary') replaced.add(name);
    added.push(news[i] as string, news[i + 1] as string);
  }
  const kept: string[] = [];
  for (let i = 0; i < fields.length; i += 2) {
    if (!replaced.has((fields[i] as string).toLowerCase()))
      kept.push(fields[i] as string, fields[i + 1] as string);
  }
  return [...kept, ...added];
}
