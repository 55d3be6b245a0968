import { isAmbiguousPath } from '../../lib/http/ambiguousPath.ts';
import { pathOf, shownPath } from '../../lib/http/path.ts';

/** Longest request target accepted, in characters. */
export const MAX_TARGET_LENGTH = 8192;

const SLASH = 0x2f;
const QUESTION_MARK = 0x3f;

/** A request target, split after its first segment. */
export interface ParsedTarget {
  /** `budgeting` of `/budgeting/api?x=1`. */
  readonly segment: string;
  /** `/api?x=1`: path and query after the segment, byte for byte, always beginning with a slash. */
  readonly rest: string;
}

/**
 * Splits a target. `mount` is the prefix before the service's segment: '' or `/internal`. Undefined when it is missing.
 */
export function parseTarget(target: string, mount: string): ParsedTarget | undefined {
  const start = mount.length + 1;
  if (target.charCodeAt(mount.length) !== SLASH || !target.startsWith(mount)) return undefined;
  const end = segmentEnd(target, start);
  const rest = target.slice(end);
  return { segment: target.slice(start, end), rest: rest.startsWith('/') ? rest : `/${rest}` };
}

/**
 * Whether two parties could read the path differently: dot segments in any encoding, backslashes, control characters, a
 * fragment, overlong encodings. `//` and `%2F` are allowed, because the service is chosen by the raw first segment.
 */
export function isAmbiguous(target: string): boolean {
  return target.includes('#') || isAmbiguousPath(pathOf(target));
}

/**
 * The origin-form of an absolute-form target (RFC 9112 section 3.2.2); any other target unchanged. Undefined when the target and
 * the `Host` field name different hosts.
 */
export function originForm(target: string, host: string | undefined): string | undefined {
  if (target.charCodeAt(0) === SLASH || target === '*') return target;
  const match = /^https?:\/\/([^/?#]+)(.*)$/i.exec(target);
  if (!match || match[1]?.toLowerCase() !== host?.toLowerCase()) return undefined;
  const rest = match[2] ?? '';
  return rest.startsWith('/') ? rest : `/${rest}`;
}

/**
 * A path that names no service, in place of a target that has no origin-form. It is safe for logs: without password and query.
 * When there is an `@` after a question mark, it could belong to either, so nothing of the target is shown.
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
