import type { IncomingMessage } from 'node:http';
import { overridesMethod } from '../../http/methodOverride.ts';
import { pathOf } from '../../http/path.ts';

/** Safe methods, which ask for no change (RFC 9110 section 9.2.1). */
const SAFE_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE']);

const PERCENT = 0x25;

/** Whether a request is a logout. `target` is the request target as the client sent it, path and query. */
export type IsRevoking = (req: Pick<IncomingMessage, 'method' | 'headers'>, target: string) => boolean;

/**
 * Recognises requests that revoke their token, by method and path.
 *
 * It fails closed: whatever some service or other might take for one of `paths` counts as one, because revoking once
 * too often does no harm. So every method counts that is not safe, or that a field or the query overrides; and a path is read
 * leniently: any letter case and compatible characters of Unicode, percent-encoding once or twice, what cannot be
 * decoded left out, slashes of both kinds and in any number, dot segments, `;` parameters, trailing dots and blanks, and
 * something like `.json` behind the last segment. The work is in proportion to the path's length.
 */
export function revokingRequests(paths: readonly string[] = []): IsRevoking {
  const revoking = new Set(paths.map(folded));
  return (req, target) => {
    if (revoking.size === 0) return false;
    if (SAFE_METHODS.has(req.method ?? '') && !overridesMethod(req, target, isUnsafe)) return false;
    const path = pathOf(target);
    if (isPlain(path)) return revoking.has(path.toLowerCase());
    const read = folded(path);
    return revoking.has(read) || revoking.has(withoutExtension(read));
  };
}

function isUnsafe(method: string): boolean {
  return !SAFE_METHODS.has(method.trim().toUpperCase());
}

/** Whether everybody reads the path in the same way, letter case apart: `/`, letters, digits, `_` and `-`, no `//`. */
function isPlain(path: string): boolean {
  let wasSlash = false;
  for (let i = 0; i < path.length; i += 1) {
    const code = path.charCodeAt(i);
    const isSlash = code === 0x2f;
    if (isSlash ? wasSlash : !isPlainCharacter(code)) return false;
    wasSlash = isSlash;
  }
  return !wasSlash;
}

function isPlainCharacter(code: number): boolean {
  const lower = code | 0x20;
  return (lower >= 0x61 && lower <= 0x7a) || (code >= 0x30 && code <= 0x39) || code === 0x2d || code === 0x5f;
}

/** A path as the most lenient service reads it. */
function folded(path: string): string {
  const segments: string[] = [];
  for (const raw of foldedCharacters(decoded(path)).split(/[\\/]/)) {
    const segment = before(raw, ';').trim();
    if (segment === '..') segments.pop();
    else segments.push(withoutTrailingDots(segment));
  }
  return `/${segments.filter((segment) => segment !== '').join('/')}`;
}

/** Twice, because a proxy between here and the service may decode, too; up to what is a query or a fragment then. */
function decoded(path: string): string {
  if (!path.includes('%')) return path;
  const bytes = withoutOverlongForms(percentDecoded(percentDecoded(Buffer.from(path))));
  return before(before(bytes.toString('utf8'), '?'), '#');
}

/**
 * Letters without case, marks and other spellings of theirs; without what is not to be seen or was no UTF-8. Marks leave
 * first: to put many of them in order, as `normalize` does, takes the square of their number.
 */
function foldedCharacters(text: string): string {
  return text
    .replace(/\p{M}/gu, '')
    .normalize('NFKD')
    .replace(/[\p{M}\p{C}\ufffd]/gu, '')
    .toUpperCase()
    .toLowerCase();
}

/** What is no encoding stays as it is. */
function percentDecoded(bytes: Buffer): Buffer {
  let length = 0;
  for (let i = 0; i < bytes.length; i += 1) {
    const value = bytes[i] === PERCENT ? digitOf(bytes[i + 1]) * 16 + digitOf(bytes[i + 2]) : Number.NaN;
    const isEncoded = !Number.isNaN(value);
    bytes[length] = isEncoded ? value : (bytes[i] as number);
    if (isEncoded) i += 2;
    length += 1;
  }
  return bytes.subarray(0, length);
}

/** ASCII in two bytes, which UTF-8 forbids (RFC 3629 section 3) and some decoders accept. */
function withoutOverlongForms(bytes: Buffer): Buffer {
  let length = 0;
  for (let i = 0; i < bytes.length; i += 1) {
    const [first = 0, second = 0] = [bytes[i], bytes[i + 1]];
    const isOverlong = (first === 0xc0 || first === 0xc1) && second >= 0x80 && second <= 0xbf;
    bytes[length] = isOverlong ? ((first & 1) << 6) | (second & 0x3f) : first;
    if (isOverlong) i += 1;
    length += 1;
  }
  return bytes.subarray(0, length);
}

/** NaN for what is no hexadecimal digit. */
function digitOf(byte = 0): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : Number.NaN;
}

/** As Windows reads names. */
function withoutTrailingDots(segment: string): string {
  let end = segment.length;
  while (end > 0 && (segment[end - 1] === '.' || segment[end - 1] === ' ')) end -= 1;
  return segment.slice(0, end);
}

/** Rails and older versions of Spring take `/logout.json` for `/logout`. */
function withoutExtension(path: string): string {
  const dot = path.indexOf('.', path.lastIndexOf('/'));
  return dot === -1 ? path : withoutTrailingDots(path.slice(0, dot));
}

function before(text: string, mark: string): string {
  const at = text.indexOf(mark);
  return at === -1 ? text : text.slice(0, at);
}
