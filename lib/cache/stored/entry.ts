import { type FieldLines, fieldsByName } from '../../http/fields.ts';
import type { Live } from '../../store/store.ts';
import type { ResponseTerms } from '../rules/policy.ts';
import { bytesOf, type Content } from './content.ts';
import type { Recording } from './recorder.ts';

/** A stored response to a GET. */
export interface Entry {
  readonly status: number;
  readonly fields: FieldLines;
  readonly terms: ResponseTerms;
  /** When the service made it, in milliseconds since the epoch. Its age counts from there. */
  readonly generatedAtMs: number;
  /** The last purge that was known when it was asked for. */
  readonly purgeVersion: number;
  /** `audienceText` of the audience it is for: an entry under the wrong key is not used. */
  readonly audience: string;
  readonly body: Content;
}

/** Two pointers and the two strings' own heads, for each field line. */
const FIELD_OVERHEAD_BYTES = 48;

/** An entry that a store in this process keeps as it is. */
export class LiveEntry implements Entry, Live {
  readonly status: number;
  readonly fields: FieldLines;
  readonly terms: ResponseTerms;
  readonly generatedAtMs: number;
  readonly purgeVersion: number;
  readonly audience: string;
  readonly body: Content;

  constructor(recording: Recording, audience: string, purgeVersion: number) {
    this.status = recording.status;
    this.fields = recording.fields;
    this.terms = recording.terms;
    this.generatedAtMs = recording.generatedAtMs;
    this.purgeVersion = purgeVersion;
    this.audience = audience;
    this.body = recording.body;
  }

  get byteLength(): number {
    let bytes = this.body.length + this.audience.length;
    for (const part of this.fields) bytes += part.length + FIELD_OVERHEAD_BYTES / 2;
    return bytes;
  }

  toBytes(): Buffer {
    return encodeEntry(this);
  }

  toString(): string {
    return this.toBytes().toString();
  }
}

/** Stored in place of a response: the request fields that select among several. */
export interface VaryMarker {
  readonly vary: readonly string[];
}

export type Stored = Entry | VaryMarker;

const SEPARATOR = 0x0a;

/** One line of JSON, then the content as it is. */
export function encodeEntry({ body, ...head }: Entry): Buffer {
  return Buffer.concat([Buffer.from(`${JSON.stringify(head)}\n`), bytesOf(body)]);
}

export function encodeMarker(marker: VaryMarker): Buffer {
  return Buffer.from(`${JSON.stringify(marker)}\n`);
}

/** Throws when `stored` is not what `encodeEntry` or `encodeMarker` made. */
export function decodeStored(stored: Buffer): Stored {
  const end = stored.indexOf(SEPARATOR);
  const head: unknown = JSON.parse(stored.toString('utf8', 0, end));
  if (isMarker(head)) return head;
  if (!isHead(head)) throw new TypeError('cache: what is stored is no response');
  return { ...head, body: stored.subarray(end + 1) };
}

/** Its fields by name in lower case. */
export function namedFields({ fields }: Pick<Entry, 'fields'>): Readonly<Record<string, string>> {
  return fieldsByName(fields);
}

function isMarker(head: unknown): head is VaryMarker {
  return isObject(head) && Array.isArray(head.vary) && head.vary.every((name) => typeof name === 'string');
}

function isHead(head: unknown): head is Omit<Entry, 'body'> {
  if (!isObject(head)) return false;
  const { status, fields, terms, generatedAtMs, purgeVersion, audience } = head;
  const numbers = [status, generatedAtMs, purgeVersion].every((number) => typeof number === 'number');
  return numbers && typeof audience === 'string' && isFieldLines(fields) && isTerms(terms);
}

function isTerms(terms: unknown): terms is ResponseTerms {
  if (!isObject(terms)) return false;
  const { lifetimeMs, staleWhileRevalidateMs, staleIfErrorMs, isShared, mayBeStale } = terms;
  const numbers = [lifetimeMs, staleWhileRevalidateMs, staleIfErrorMs];
  const flags = [isShared, mayBeStale];
  return (
    numbers.every((number) => typeof number === 'number') && flags.every((flag) => typeof flag === 'boolean')
  );
}

function isFieldLines(fields: unknown): fields is FieldLines {
  return Array.isArray(fields) && fields.length % 2 === 0 && fields.every((part) => typeof part === 'string');
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
