import type { FieldLines } from '../exchange/fields.ts';

/** A stored answer to a GET: always a 200. */
export interface CacheEntry {
  readonly fields: FieldLines;
  /** When the service made it, as its `Age` says: milliseconds since the epoch. */
  readonly madeAtMs: number;
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
  const head: unknown = JSON.parse(stored.toString('utf8', 0, end));
  if (!isHead(head)) throw new TypeError('cache: what is stored is no answer');
  return { ...head, body: stored.subarray(end + 1) };
}

function isHead(head: unknown): head is Omit<CacheEntry, 'body'> {
  if (typeof head !== 'object' || head === null) return false;
  const { fields, madeAtMs, freshUntilMs, varying } = head as Partial<CacheEntry>;
  const numbers = typeof madeAtMs === 'number' && typeof freshUntilMs === 'number';
  return numbers && isFieldLines(fields) && typeof varying === 'object' && varying !== null;
}

function isFieldLines(fields: unknown): fields is FieldLines {
  return Array.isArray(fields) && fields.length % 2 === 0 && fields.every((part) => typeof part === 'string');
}
