import type { ServerResponse } from 'node:http';

/** Where a response keeps its writer. */
export const WRITER = Symbol('response writer');

/** What stands in place of Node's methods, given what they were called with. */
export interface Replacement {
  writeHeadGiven(status: number, reason: unknown, fields: unknown): void;
  writeGiven(args: readonly unknown[]): boolean;
  endGiven(args: readonly unknown[]): void;
}

export type Written<W extends Replacement> = ServerResponse & { [WRITER]?: W };

/** Node's methods, each with its overloads as one. */
export type WriteHead = (this: ServerResponse, status: number, reason?: unknown, fields?: unknown) => unknown;
export type Write = (this: ServerResponse, chunk: unknown, encoding?: unknown, whenDone?: unknown) => boolean;
export type End = (this: ServerResponse, chunk?: unknown, encoding?: unknown, whenDone?: unknown) => unknown;

/** Has `writer` write all heads of the response from now on. */
export function replaceWriteHead<W extends Replacement>(res: Written<W>, writer: W): void {
  res[WRITER] = writer;
  res.writeHead = writeHead as typeof res.writeHead;
}

/** Has the writer of the response write all its content from now on. */
export function replaceWriteAndEnd(res: ServerResponse): void {
  res.write = write as ServerResponse['write'];
  res.end = end as ServerResponse['end'];
}

export function callbackOf(args: readonly unknown[]): (() => void) | undefined {
  const last = args.at(-1);
  return typeof last === 'function' ? (last as () => void) : undefined;
}

// One function for all responses: with one of its own on each, V8 keeps dead requests until it collects everything.

type Replaced = ServerResponse & { [WRITER]: Replacement };

function writeHead(this: Replaced, status: number, reason?: unknown, fields?: unknown): ServerResponse {
  this[WRITER].writeHeadGiven(status, reason, fields);
  return this;
}

function write(this: Replaced, ...args: unknown[]): boolean {
  return this[WRITER].writeGiven(args);
}

function end(this: Replaced, ...args: unknown[]): ServerResponse {
  this[WRITER].endGiven(args);
  return this;
}
