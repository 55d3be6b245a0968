import type { Request, Response } from 'express';
import { isNotModified, isSameRepresentation } from './conditional.ts';
import { type Entry, namedFields } from './entry.ts';
import { type ByteRange, rangeOf } from './range.ts';

/** Fields of the content, which a 304 does not have (RFC 9110 section 15.4.5). */
const OF_CONTENT: ReadonlySet<string> = new Set([
  'content-length',
  'content-type',
  'content-encoding',
  'content-language',
  'content-range',
]);

/** Answers a GET or HEAD from what is stored. */
export function answerWith(entry: Entry, req: Request, res: Response, nowMs: number): void {
  const { headers } = req;
  const isPlain =
    headers['if-none-match'] === undefined &&
    headers['if-modified-since'] === undefined &&
    headers.range === undefined;
  if (isPlain || entry.status !== 200) whole(entry, res, nowMs);
  else selected(entry, req, res, nowMs);
}

/** Answers what a client asks that has something already, or wants a part. */
function selected(entry: Entry, req: Request, res: Response, nowMs: number): void {
  const { headers } = req;
  const stored = namedFields(entry);
  if (isNotModified(headers, stored, nowMs)) {
    notModified(entry, res, nowMs);
    return;
  }
  const isAsked = req.method === 'GET' && isSameRepresentation(single(headers['if-range']), stored, nowMs);
  const range = isAsked ? rangeOf(headers.range, entry.body.length) : 'whole';
  if (range === 'whole') whole(entry, res, nowMs);
  else if (range === 'none') unsatisfiable(entry, res);
  else part(entry, range, res, nowMs);
}

/** Tells a client that it has what it asked for. */
export function notModified(
  entry: Pick<Entry, 'fields' | 'generatedAtMs'>,
  res: Response,
  nowMs: number,
): void {
  res.writeHead(304, withAge(without(entry.fields, OF_CONTENT), entry, nowMs)).end();
}

function whole(entry: Entry, res: Response, nowMs: number): void {
  res.writeHead(entry.status, withAge(entry.fields, entry, nowMs)).end(entry.body);
}

function part(entry: Entry, { first, last }: ByteRange, res: Response, nowMs: number): void {
  const size = entry.body.length;
  const fields = without(entry.fields, new Set(['content-length', 'content-range']));
  fields.push('Content-Range', `bytes ${first}-${last}/${size}`, 'Content-Length', String(last - first + 1));
  res.writeHead(206, withAge(fields, entry, nowMs)).end(entry.body.subarray(first, last + 1));
}

function unsatisfiable({ body }: Entry, res: Response): void {
  res.writeHead(416, ['Content-Range', `bytes */${body.length}`, 'Content-Length', '0']).end();
}

/** RFC 9111 section 5.1. */
function withAge(
  fields: readonly string[],
  { generatedAtMs }: Pick<Entry, 'generatedAtMs'>,
  nowMs: number,
): string[] {
  return [...fields, 'Age', String(Math.max(0, Math.floor((nowMs - generatedAtMs) / 1000)))];
}

function without(fields: readonly string[], dropped: ReadonlySet<string>): string[] {
  const kept: string[] = [];
  for (let i = 0; i < fields.length; i += 2) {
    if (!dropped.has((fields[i] as string).toLowerCase()))
      kept.push(fields[i] as string, fields[i + 1] as string);
  }
  return kept;
}

function single(field: string | string[] | undefined): string | undefined {
  return Array.isArray(field) ? field[0] : field;
}
