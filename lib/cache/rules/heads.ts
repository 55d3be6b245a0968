import type { FieldLines } from '../../http/fields.ts';
import { fieldNames } from '../../proxy/fieldNames.ts';
import { connectionOptions, isHopByHop } from '../../proxy/hopByHop.ts';

/** Fields of one answer on its way, not of what is stored (RFC 9111 section 3.1). */
const OF_ONE_ANSWER: ReadonlySet<string> = new Set([
  'age',
  'x-request-id',
  'x-cache',
  'cache-status',
  'ratelimit',
  'ratelimit-policy',
]);

/** Fields that decide whether an answer is stored, and for how long. */
const TELLING = [
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

/** What they say, by their names in lower case; values of the same name joined. */
export type Telling = { [name in (typeof TELLING)[number]]?: string | undefined };

export interface ReadHead {
  readonly telling: Readonly<Telling>;
  /** Field lines as they are stored. */
  readonly stored: FieldLines;
}

interface Role {
  readonly tells: keyof Telling | undefined;
  readonly isStored: boolean;
}

/** Reads heads of answers, each in one pass. What a head says as the one before it did is kept once for both. */
export class Heads {
  readonly #nameOf = fieldNames(roleOf);
  #before: FieldLines = [];

  read(lines: FieldLines): ReadHead {
    const telling = nothingTold();
    const stored: string[] = [];
    for (let i = 0; i < lines.length; i += 2) {
      const name = lines[i] as string;
      const value = lines[i + 1] as string;
      const { tells, isStored } = this.#nameOf(name).role;
      if (tells) telling[tells] = telling[tells] === undefined ? value : `${telling[tells]}, ${value}`;
      if (isStored) stored.push(name, value);
    }
    const dropped = connectionOptions(telling.connection);
    return { telling, stored: this.#shared(dropped.size === 0 ? stored : without(stored, dropped)) };
  }

  /** The strings of before where they are equal: those are old, and need not grow old again. */
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
  return !isHopByHop(lower) && !OF_ONE_ANSWER.has(lower);
}

function roleOf(lower: string): Role {
  return { tells: TELLING.find((name) => name === lower), isStored: isKept(lower) };
}

function without(lines: FieldLines, dropped: ReadonlySet<string>): string[] {
  return lines.filter((_, i) => !dropped.has((lines[i & ~1] as string).toLowerCase()));
}

/** All of one shape, which V8 reads fastest. */
function nothingTold(): Telling {
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
