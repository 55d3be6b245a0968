import type { Request } from 'express';
import type { ResponseWriter } from '../../response/responseWriter.ts';
import { isNotModified, isSameRepresentation } from '../rules/conditional.ts';
import { type ByteRange, rangeOf } from '../rules/range.ts';
import { partOf, writable } from '../stored/content.ts';
import { type Entry, namedFields } from '../stored/entry.ts';

/** Fields of the content, which a 304 does not have (RFC 9110 section 15.4.5). */
const OF_CONTENT: ReadonlySet<string> = new Set([
  'content-length',
  'content-type',
  'content-encoding',
  'content-language',
  'content-range',
]);

/** Responds to a GET or HEAD with a stored response, with the cache's `own` fields in front. */
export function respondFromStore(
  entry: Entry,
  req: Request,
  response: ResponseWriter,
  own: readonly string[],
  nowMs: number,
): void {
  const { headers } = req;
  const isPlain =
    headers['if-none-match'] === undefined &&
    headers['if-modified-since'] === undefined &&
    headers.range === undefined;
  if (isPlain || entry.status !== 200) whole(entry, response, own, nowMs);
  else selected(entry, req, response, own, nowMs);
}

/** Responds to a conditional or range request. */
function selected(
  entry: Entry,
  req: Request,
  response: ResponseWriter,
  own: readonly string[],
  nowMs: number,
): void {
  const { headers } = req;
  const stored = namedFields(entry);
  if (isNotModified(headers, stored, nowMs)) {
    notModified(entry, response, own, nowMs);
    return;
  }
  const isAsked = req.method === 'GET' && isSameRepresentation(single(headers['if-range']), stored, nowMs);
  const range = isAsked ? rangeOf(headers.range, entry.body.length) : 'whole';
  if (range === 'whole') whole(entry, response, own, nowMs);
  else if (range === 'none') unsatisfiable(entry, response, own);
  else part(entry, range, response, own, nowMs);
}

/** Tells a client that what it has is current. */
export function notModified(
  entry: Pick<Entry, 'fields' | 'generatedAtMs'>,
  response: ResponseWriter,
  own: readonly string[],
  nowMs: number,
): void {
  response.whole(304, [...own, ...without(entry.fields, OF_CONTENT), 'Age', ageOf(entry, nowMs)]);
}

function whole(entry: Entry, response: ResponseWriter, own: readonly string[], nowMs: number): void {
  const head = [...own, ...entry.fields, 'Age', ageOf(entry, nowMs)];
  response.whole(entry.status, head, writable(entry.body), true);
}

function part(
  entry: Entry,
  { first, last }: ByteRange,
  response: ResponseWriter,
  own: readonly string[],
  nowMs: number,
): void {
  const size = entry.body.length;
  const fields = without(entry.fields, new Set(['content-length', 'content-range']));
  fields.push('Content-Range', `bytes ${first}-${last}/${size}`, 'Content-Length', String(last - first + 1));
  const head = [...own, ...fields, 'Age', ageOf(entry, nowMs)];
  response.whole(206, head, partOf(entry.body, first, last + 1));
}

function unsatisfiable({ body }: Entry, response: ResponseWriter, own: readonly string[]): void {
  response.whole(416, [...own, 'Content-Range', `bytes */${body.length}`, 'Content-Length', '0']);
}

/** RFC 9111 section 5.1. */
function ageOf({ generatedAtMs }: Pick<Entry, 'generatedAtMs'>, nowMs: number): string {
  return String(Math.max(0, Math.floor((nowMs - generatedAtMs) / 1000)));
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
