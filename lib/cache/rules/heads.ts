import type { FieldLines } from '../../http/fields.ts';
import { fieldNames } from '../../proxy/fieldNames.ts';
import { connectionOptions, isHopByHop } from '../../proxy/hopByHop.ts';

/** Fields of one response only: they are not stored (RFC 9111 section 3.1). */
const OF_ONE_RESPONSE: ReadonlySet<string> = new Set([
  'age',
  'x-request-id',
  'x-cache',
  'cache-status',
  'ratelimit',
  'ratelimit-policy',
]);

/** Fields that decide whether a response is stored, and for how long. */
const CACHING_FIELDS = [
  'age',
  'cache-control',
  'cdn-cache-control',
  'connection',
  'content-length',
  'content-type',
  'date',
  'etag',
  'expires',
  'last-modified',
  'pragma',
  'set-cookie',
  'vary',
] as const;

/** Their values by name in lower case. Values of the same name are joined. */
export type CachingFields = { [name in (typeof CACHING_FIELDS)[number]]?: string | undefined };

export interface ReadHead {
  readonly caching: Readonly<CachingFields>;
  /** Field lines as they are stored. */
  readonly stored: FieldLines;
}

interface Role {
  readonly caching: keyof CachingFields | undefined;
  readonly isStored: boolean;
}

/** Reads heads of responses, each in one pass. Fields that are equal to those of the head before share its strings. */
export class Heads {
  readonly #nameOf = fieldNames(roleOf);
  #before: FieldLines = [];

  read(lines: FieldLines): ReadHead {
    const caching = noCachingFields();
    const stored: string[] = [];
    for (let i = 0; i < lines.length; i += 2) {
      const name = lines[i] as string;
      const value = lines[i + 1] as string;
      const { caching: key, isStored } = this.#nameOf(name).role;
      if (key) caching[key] = caching[key] === undefined ? value : `${caching[key]}, ${value}`;
      if (isStored) stored.push(name, value);
    }
    const dropped = connectionOptions(caching.connection);
    return { caching, stored: this.#shared(dropped.size === 0 ? stored : without(stored, dropped)) };
  }

  /** Takes equal strings from the head before: V8 has moved those to the old generation already. */
  #shared(stored: string[]): FieldLines {
    const before = this.#before;
    let isSame = stored.length === before.length;
    for (let i = 0; i < stored.length; i += 1) {
      const known = before[i];
      if (known !== undefined && stored[i] === known) stored[i] = known;
      else isSame = false;
    }
    if (!isSame) this.#before = stored;
    return this.#before;
  }
}

/** Field lines as they are stored. */
export function withoutTransient(lines: FieldLines, connection: string | undefined): string[] {
  const kept: string[] = [];
  for (let i = 0; i < lines.length; i += 2) {
    const name = lines[i] as string;
    if (isKept(name.toLowerCase())) kept.push(name, lines[i + 1] as string);
  }
  return without(kept, connectionOptions(connection));
}

function isKept(lower: string): boolean {
  return !isHopByHop(lower) && !OF_ONE_RESPONSE.has(lower);
}

function roleOf(lower: string): Role {
  return { caching: CACHING_FIELDS.find((name) => name === lower), isStored: isKept(lower) };
}

function without(lines: FieldLines, dropped: ReadonlySet<string>): string[] {
  return lines.filter((_, i) => !dropped.has((lines[i & ~1] as string).toLowerCase()));
}

/** Every object has the same shape, which V8 reads fastest. */
function noCachingFields(): CachingFields {
  return {
    age: undefined,
    'cache-control': undefined,
    'cdn-cache-control': undefined,
    connection: undefined,
    'content-length': undefined,
    'content-type': undefined,
    date: undefined,
    etag: undefined,
    expires: undefined,
    'last-modified': undefined,
    pragma: undefined,
    'set-cookie': undefined,
    vary: undefined,
  };
}
