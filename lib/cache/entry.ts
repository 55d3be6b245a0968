import type { FieldLines } from '../exchange/fields.ts';

/** A stored answer to a GET: always a 200. */
export interface CacheEntry {
  readonly fields: FieldLines;
  /** When it was received, milliseconds since the epoch. */
  readonly storedAtMs: number;
  /** Until when it may be used without asking the service. */
  readonly freshUntilMs: number;
  /** What the request said under the names that the answer's `Vary` lists. */
  readonly varying: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

const SEPARATOR = 0x0a;

/** One line of JSON, then the body as it is. */
export function encodeEntry({ body, ...head }: CacheEntry): Buffer {
  return Buffer.concat([Buffer.from(`${JSON.stringify(head)}\n`), body]);
}

/** Throws when `stored` is not what `encodeEntry` made. */
export function decodeEntry(stored: Buffer): CacheEntry {
  const end = stored.indexOf(SEPARATOR);
  return { ...JSON.parse(stored.toString('utf8', 0, end)), body: stored.subarray(end + 1) };
}
