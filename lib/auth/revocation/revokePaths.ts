import type { IncomingMessage } from 'node:http';
import { overridesMethod } from '../../http/methodOverride.ts';
import { pathOf } from '../../http/path.ts';
import { mayChange } from '../../http/safeMethods.ts';
import {
  before,
  foldedCharacters,
  percentDecodedTwice,
  withoutTrailingDots,
} from '../../routing/spelling/lenientText.ts';

/** A path that revokes tokens: with any method that is not safe, or with some alone. */
export type RevokingPath = string | { readonly path: string; readonly methods: readonly string[] };

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
export function revokingRequests(paths: readonly RevokingPath[] = []): IsRevoking {
  const revoking = new Map<string, MethodCheck[]>();
  for (const each of paths) {
    const read = folded(typeof each === 'string' ? each : each.path);
    revoking.set(read, [...(revoking.get(read) ?? []), methodCheck(each)]);
  }
  return (req, target) => {
    if (revoking.size === 0 || !mayChange(req, target)) return false;
    const path = pathOf(target);
    const read = isPlain(path) ? path.toLowerCase() : folded(path);
    const checks = revoking.get(read) ?? revoking.get(withoutExtension(read));
    return checks?.some((revokesWith) => revokesWith(req, target)) ?? false;
  };
}

type MethodCheck = (req: Parameters<IsRevoking>[0], target: string) => boolean;

/** Whether a request that is not safe has one of the methods, or may be read to have it. */
function methodCheck(revoking: RevokingPath): MethodCheck {
  if (typeof revoking === 'string') return () => true;
  const methods = new Set(revoking.methods);
  const isOne = (method: string) => methods.has(method);
  return (req, target) => isOne((req.method ?? '').toUpperCase()) || overridesMethod(req, target, isOne);
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
  return before(before(percentDecodedTwice(path), '?'), '#');
}

/** Rails and older versions of Spring take `/logout.json` for `/logout`. */
function withoutExtension(path: string): string {
  const dot = path.indexOf('.', path.lastIndexOf('/'));
  return dot === -1 ? path : withoutTrailingDots(path.slice(0, dot));
}
