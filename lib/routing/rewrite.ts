import { type Pattern, segmentEnd } from './pattern.ts';
import { foldedSegment } from './spelling/readings.ts';
import { capturesOf, expand, parseTemplate } from './template.ts';

/** The path for the service, of the one that was asked for. Undefined where that cannot be taken apart as the rule says. */
export type Rewrite = (path: string) => string | undefined;

/** As it is. */
export const unchanged: Rewrite = (path) => path;

/**
 * Without the first segment, which is `prefix` in this or another spelling; at least `/` is left. Undefined where a service
 * might find the prefix somewhere else.
 */
export function withoutPrefix(prefix: string): Rewrite {
  const name = foldedSegment(prefix.slice(1));
  return (path) => {
    const end = segmentEnd(path, 1);
    const first = path.slice(0, end);
    if (first !== prefix && foldedSegment(first.slice(1)) !== name) return undefined;
    return path.slice(end) || '/';
  };
}

/**
 * As a template says: `/orders/:id` for paths that fit `/api/orders/:id`.
 *
 * @throws {PatternError} where the template names what the pattern does not have
 */
export function rewriteTo(template: string, pattern: Pattern): Rewrite {
  const parsed = parseTemplate(template, pattern);
  return (path) => {
    const captures = capturesOf(pattern, path);
    if (captures === undefined) return undefined;
    return expand(parsed, captures) || '/';
  };
}

/** What was cut off the front of a path: '' where the rest was changed, too. */
export function cutPrefix(path: string, rewritten: string): string {
  if (rewritten === '/' && !path.endsWith('/')) return path;
  return path.endsWith(rewritten) ? path.slice(0, path.length - rewritten.length) : '';
}
