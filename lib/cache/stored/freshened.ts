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

export interface FreshenOptions {
  readonly policy: Policy;
  readonly requestedAtMs: number;
  readonly nowMs: number;
}

/** A stored response freshened by a 304 (RFC 9111 section 4.3.4). Without terms it must not be stored again. */
export function freshened(
  { status, fields, body }: Entry,
  notModified: FieldLines,
  { policy, requestedAtMs, nowMs }: FreshenOptions,
): Omit<Recording, 'terms'> & Partial<Pick<Recording, 'terms'>> {
  const named = fieldsByName(notModified);
  const news = withoutTransient(notModified, named.connection);
  const merged = merge(fields, news);
  const current = { ...fieldsByName(merged), ...(named.age && { age: named.age }) };
  const terms = policy.termsOf(status, current, nowMs);
  return { status, fields: merged, body, generatedAtMs: requestedAtMs - ageMs(named), terms };
}

/**
 * The lines of each field in `news` take the place of those that are stored. Those of `Vary` are added instead: otherwise
 * the response would be served to requests for which it was never selected.
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
