import type { OutgoingHttpHeader, ServerResponse } from 'node:http';

/** What somebody wants to see of an answer as it streams past. */
export interface AnswerObserver {
  /** The head, just before it is sent: status and every field line, name, value, name, value. */
  head(status: number, fields: readonly string[]): void;
  data(chunk: Buffer): void;
  /** The answer was given whole. Not called for one that is cut short. */
  end(): void;
}

/** Lets `onHead` see status and field lines of the answer on `res`, whoever writes it. */
export function tapHead(res: ServerResponse, onHead: AnswerObserver['head']): void {
  const { writeHead } = res;
  res.writeHead = function writeHeadTapped(this: ServerResponse, ...args: unknown[]) {
    Reflect.apply(writeHead, this, args);
    onHead(this.statusCode, headFields(this, args));
    return this;
  } as typeof writeHead;
}

/** Lets `observer` see the answer on `res`, whoever writes it, without delaying or changing it. */
export function tapAnswer(res: ServerResponse, observer: AnswerObserver): void {
  const { write, end } = res;
  tapHead(res, (status, fields) => observer.head(status, fields));
  res.write = function writeTapped(this: ServerResponse, ...args: unknown[]) {
    const accepted = Reflect.apply(write, this, args) as boolean;
    observeChunk(observer, args);
    return accepted;
  } as typeof write;
  res.end = function endTapped(this: ServerResponse, ...args: unknown[]) {
    const again = this.writableEnded;
    Reflect.apply(end, this, args);
    if (again) return this;
    observeChunk(observer, args);
    observer.end();
    return this;
  } as typeof end;
}

/** The bytes of `write`'s and `end`'s first argument, if it is content at all. */
export function chunkOf([chunk, encoding]: readonly unknown[]): Buffer | undefined {
  if (chunk instanceof Uint8Array) return Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk);
  if (typeof chunk !== 'string') return undefined;
  return Buffer.from(chunk, typeof encoding === 'string' ? (encoding as BufferEncoding) : 'utf8');
}

function observeChunk(observer: AnswerObserver, args: readonly unknown[]): void {
  const chunk = chunkOf(args);
  if (chunk && chunk.length > 0) observer.data(chunk);
}

/**
 * Every field line of a head, after `writeHead` was called with `args`: Node keeps them either in the response (if any
 * was set before) or only in writeHead's own argument.
 */
export function headFields(res: ServerResponse, args: readonly unknown[]): readonly string[] {
  const given = args.at(-1);
  const names = rawHeaderNames(res);
  if (names.length > 0) return flatten(names.map((name) => [name, res.getHeader(name)]));
  if (isFlat(given)) return given;
  if (Array.isArray(given)) return flatten(pairs(given));
  return typeof given === 'object' && given !== null ? flatten(Object.entries(given)) : [];
}

/** Whether these are field lines as they are kept here: name, value, name, value. */
export function isFlat(given: unknown): given is readonly string[] {
  return Array.isArray(given) && given.every((part) => typeof part === 'string');
}

type Pair = readonly [string, OutgoingHttpHeader | undefined];

/** Node takes a list of names and values by turns, and a list of pairs. */
function pairs(given: readonly unknown[]): readonly Pair[] {
  if (Array.isArray(given[0])) return given as readonly Pair[];
  const names = given.filter((_, i) => i % 2 === 0);
  return names.map((name, i) => [name, given[2 * i + 1]] as Pair);
}

/** As they were spelt. Node's types know this method on requests only. */
function rawHeaderNames(res: ServerResponse & { getRawHeaderNames?(): string[] }): string[] {
  return res.getRawHeaderNames?.() ?? res.getHeaderNames();
}

function flatten(headers: readonly Pair[]): string[] {
  const fields: string[] = [];
  for (const [name, value] of headers) {
    if (value === undefined) continue;
    for (const item of Array.isArray(value) ? value : [value]) fields.push(name, String(item));
  }
  return fields;
}
