import { pathOf, shownPath } from '../../lib/http/path.ts';

/** Longest request target accepted, in characters. */
export const MAX_TARGET_LENGTH = 8192;

const SLASH = 0x2f;
const QUESTION_MARK = 0x3f;

/**
 * Encodings that mean something else to everybody: control characters, the backslash, what only IIS takes for an
 * encoding, and overlong UTF-8 (RFC 3629 section 3), in which a dot or slash may hide.
 */
const UNREADABLE = /%(?:[01][0-9a-f]|7f|5c|c[01]%[89ab]|e0%[89]|f0%8|u[0-9a-f])/i;

/** A request target taken apart at its first segment. */
export interface ParsedTarget {
  /** `budgeting` of `/budgeting/api?x=1`. */
  readonly segment: string;
  /** `/api?x=1`: path and query behind the segment, byte for byte, always with a slash in front. */
  readonly rest: string;
}

/** `mount` is what stands before the service's segment: '' or `/internal`. `undefined` when it is missing. */
export function parseTarget(target: string, mount: string): ParsedTarget | undefined {
  const start = mount.length + 1;
  if (target.charCodeAt(mount.length) !== SLASH || !target.startsWith(mount)) return undefined;
  const end = segmentEnd(target, start);
  const rest = target.slice(end);
  return { segment: target.slice(start, end), rest: rest.startsWith('/') ? rest : `/${rest}` };
}

/**
 * Whether two parties could read the path as two different ones: dot segments in any encoding, backslashes,
 * control characters, a fragment, overlong encodings. `//` and `%2F` are left alone: the service is chosen by the raw first segment.
 */
export function isAmbiguous(target: string): boolean {
  const path = pathOf(target);
  if (path.includes('\\') || target.includes('#')) return true;
  if (!path.includes('/.') && !path.includes('%')) return false;
  return hasDotSegment(path.replace(/%(2e|2f|3b|5c)/gi, decodeOnce)) || UNREADABLE.test(path);
}

/**
 * The origin-form of an absolute-form target (RFC 9112 section 3.2.2) whose authority is the `Host` field's;
 * any other target as it is. `undefined` when the two name different hosts.
 */
export function originForm(target: string, host: string | undefined): string | undefined {
  if (target.charCodeAt(0) === SLASH || target === '*') return target;
  const match = /^https?:\/\/([^/?#]+)(.*)$/i.exec(target);
  if (!match || match[1]?.toLowerCase() !== host?.toLowerCase()) return undefined;
  const rest = match[2] ?? '';
  return rest.startsWith('/') ? rest : `/${rest}`;
}

/**
 * A path that names no service, for a target without an origin-form: fit for logs, so without a password or query. An `@`
 * behind a question mark may be part of either: then nothing is shown.
 */
export function noService(target: string): string {
  const userEnd = target.lastIndexOf('@');
  if (userEnd > pathOf(target).length) return '/';
  return `/${encodeURIComponent(shownPath(target.slice(userEnd + 1)))}`;
}

function segmentEnd(target: string, start: number): number {
  for (let i = start; i < target.length; i += 1) {
    const code = target.charCodeAt(i);
    if (code === SLASH || code === QUESTION_MARK) return i;
  }
  return target.length;
}

function decodeOnce(encoded: string): string {
  return String.fromCharCode(Number.parseInt(encoded.slice(1), 16));
}

/** `;` ends a segment's name for some servers: `/..;/` is a dot segment to them. */
function hasDotSegment(path: string): boolean {
  return path.split('/').some((segment) => /^\.\.?(?:;|$)/.test(segment));
}
