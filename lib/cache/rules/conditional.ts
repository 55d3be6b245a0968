import type { IncomingHttpHeaders } from 'node:http';
import { parseHttpDate } from './httpDate.ts';

type Fields = Readonly<Record<string, string>>;

const ETAG = /(?:W\/)?"[^"]*"/g;

/** Whether the client's copy is current, so that a 304 is its response (RFC 9110 section 13.1.2 and 13.1.3). */
export function isNotModified(request: IncomingHttpHeaders, stored: Fields, nowMs: number): boolean {
  const noneMatch = request['if-none-match'];
  if (noneMatch !== undefined) return matchesAny(noneMatch, stored.etag);
  const sinceMs = parseHttpDate(request['if-modified-since'], nowMs);
  const modifiedMs = parseHttpDate(stored['last-modified'] ?? stored.date, nowMs);
  return sinceMs !== undefined && modifiedMs !== undefined && modifiedMs <= sinceMs;
}

/** Whether `If-Range` allows a range of this representation (RFC 9110 section 13.1.5). */
export function isSameRepresentation(ifRange: string | undefined, stored: Fields, nowMs: number): boolean {
  if (ifRange === undefined) return true;
  if (ifRange.includes('"')) return !ifRange.startsWith('W/') && ifRange === stored.etag;
  const atMs = parseHttpDate(ifRange, nowMs);
  return atMs !== undefined && atMs === strongDate(stored, nowMs);
}

/** The request fields that validate this representation (RFC 9111 section 4.3.1). */
export function validators(stored: Fields): readonly string[] {
  const lines: string[] = [];
  if (stored.etag !== undefined) lines.push('If-None-Match', stored.etag);
  if (stored['last-modified'] !== undefined) lines.push('If-Modified-Since', stored['last-modified']);
  return lines;
}

/** Whether a 304 is about the stored response (RFC 9111 section 4.3.4). */
export function validates(notModified: Fields, stored: Fields): boolean {
  const { etag, 'last-modified': lastModified } = notModified;
  if (etag !== undefined)
    return stored.etag !== undefined && isStrong(etag)
      ? etag === stored.etag
      : opaque(etag) === opaque(stored.etag);
  return lastModified === undefined || lastModified === stored['last-modified'];
}

/**
 * How the 200 to a HEAD compares with a stored response of `storedBytes` (RFC 9111 section 4.3.5). Without a validator it
 * is `unknown`: otherwise a client that sends HEADs could keep outdated content fresh for ever.
 */
export function comparedWithHead(
  head: Fields,
  stored: Fields,
  storedBytes: number,
): 'same' | 'different' | 'unknown' {
  const shown = ['etag', 'last-modified'].filter((name) => head[name] !== undefined);
  const length = head['content-length'];
  const hasOtherLength = length !== undefined && Number(length) !== storedBytes;
  if (hasOtherLength || shown.some((name) => head[name] !== stored[name])) return 'different';
  return shown.length > 0 ? 'same' : 'unknown';
}

/** By weak comparison (RFC 9110 section 8.8.3.2). */
function matchesAny(list: string, etag: string | undefined): boolean {
  if (list.trim() === '*') return true;
  if (etag === undefined) return false;
  return (list.match(ETAG) ?? []).some((candidate) => opaque(candidate) === opaque(etag));
}

function opaque(etag: string | undefined): string | undefined {
  return etag?.replace(/^W\//, '');
}

function isStrong(etag: string): boolean {
  return !etag.startsWith('W/');
}

/** A date is strong when it lies a second or more before the response was made (RFC 9110 section 8.8.2.2). */
function strongDate(stored: Fields, nowMs: number): number | undefined {
  const modifiedMs = parseHttpDate(stored['last-modified'], nowMs);
  const madeMs = parseHttpDate(stored.date, nowMs);
  if (modifiedMs === undefined || madeMs === undefined) return undefined;
  return madeMs - modifiedMs >= 1_000 ? modifiedMs : undefined;
}
