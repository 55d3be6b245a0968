import { isNamed } from '../../http1/grammar.ts';
import type { Coding } from '../codings.ts';

/** What a coded representation's tag has before its closing quote. No service writes that by chance. */
const MARK = ';coded=';
const STRONG_TAG = /^"[\x21\x23-\x7e\x80-\xff]*"$/;
/** A coded tag within a list of tags. */
const CODED_TAG = /;coded=(zstd|br|gzip)"/g;

/**
 * The entity tag of a representation in this coding (RFC 9110 section 8.8.3.3): strong tags of two codings must differ. A weak
 * tag stands for all of them and stays as it is. Undefined: it is no entity tag.
 */
export function codedTag(tag: string, coding: Coding): string | undefined {
  if (tag.startsWith('W/')) return tag;
  return STRONG_TAG.test(tag) ? `${tag.slice(0, -1)}${MARK}${coding}"` : undefined;
}

/** Whether one of the tags in this field was made by `codedTag`. */
export function hasCodedTag(field: string | undefined): boolean {
  return field?.includes(MARK) ?? false;
}

/**
 * `field`, a list of entity tags, with the service's own tags in place of those that `codedTag` made of them.
 *
 * @param coding only tags of that coding are its own; undefined: those of all codings
 */
export function withoutCoding(field: string, coding?: Coding): string {
  return field.replace(CODED_TAG, (tag, of) => (coding === undefined || of === coding ? '"' : tag));
}

/** The same in every field line of this name. The list is a new one if anything has changed. */
export function linesWithoutCoding(
  lines: readonly string[],
  lowerCaseName: string,
  coding?: Coding,
): string[] {
  return lines.map((value, i) =>
    i % 2 === 1 && isNamed(lines[i - 1] as string, lowerCaseName) ? withoutCoding(value, coding) : value,
  );
}
