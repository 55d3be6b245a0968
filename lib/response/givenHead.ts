import type { OutgoingHttpHeader, ServerResponse } from 'node:http';

type Pair = readonly [string, OutgoingHttpHeader | undefined];

/** The field lines in what `writeHead` was given, in each of the forms that Node takes. The list is a new one. */
export function givenLines(fields: unknown): string[] {
  if (!Array.isArray(fields)) {
    return typeof fields === 'object' && fields !== null ? flatten(Object.entries(fields)) : [];
  }
  return isFlat(fields) ? fields.slice() : flatten(pairs(fields));
}

/** The field lines that were set on `res` one by one, as they were spelt. */
export function setLines(res: ServerResponse): string[] {
  return flatten(rawHeaderNames(res).map((name) => [name, res.getHeader(name)]));
}

/** The bytes of the first argument of `write` or `end`, if it is content at all. */
export function chunkOf([chunk, encoding]: readonly unknown[]): Buffer | undefined {
  if (chunk instanceof Uint8Array) return Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk);
  if (typeof chunk !== 'string') return undefined;
  return Buffer.from(chunk, typeof encoding === 'string' ? (encoding as BufferEncoding) : 'utf8');
}

function isFlat(given: readonly unknown[]): given is readonly string[] {
  return given.every((part) => typeof part === 'string');
}

/** Node takes a list of names and values by turns, and a list of pairs. */
function pairs(given: readonly unknown[]): readonly Pair[] {
  if (Array.isArray(given[0])) return given as readonly Pair[];
  const names = given.filter((_, i) => i % 2 === 0);
  return names.map((name, i) => [name, given[2 * i + 1]] as Pair);
}

/** Node's types know this method on requests only. */
function rawHeaderNames(res: ServerResponse & { getRawHeaderNames?(): string[] }): string[] {
  return res.getRawHeaderNames?.() ?? res.getHeaderNames();
}

function flatten(headers: readonly Pair[]): string[] {
  const lines: string[] = [];
  for (const [name, value] of headers) {
    if (value === undefined) continue;
    for (const item of Array.isArray(value) ? value : [value]) lines.push(name, String(item));
  }
  return lines;
}
