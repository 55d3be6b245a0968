const SLASH = 0x2f;

/** What a segment's own characters may be: those of RFC 3986 section 3.3, but for `*`, which says something else here. */
const LITERAL = /^(?:[\w.~!$&'()+,=@:-]|%[0-9a-f]{2})*$/i;
const NAME = /^[a-z_]\w*$/i;

/** One segment of a pattern; `rest` is the last one and stands for what is left, which may be nothing. */
export type Segment =
  | { readonly kind: 'literal'; readonly text: string }
  | { readonly kind: 'one'; readonly name: string | undefined }
  | { readonly kind: 'rest' };

/** A path pattern that has been read. */
export interface Pattern {
  readonly text: string;
  /** At least one: `/` is one literal without characters. */
  readonly segments: readonly Segment[];
}

/** The text is no pattern: `message` says what is accepted instead. */
export class PatternError extends Error {
  override readonly name = 'PatternError';
}

/**
 * Reads a pattern such as `/orders/:id/**`: `*` is one segment that is not empty, `:name` the same under a name, and a `**`
 * at the end is all the rest, which may be nothing. Everything else stands for itself, byte for byte.
 *
 * @throws {PatternError}
 */
export function parsePattern(text: string): Pattern {
  if (!text.startsWith('/')) throw new PatternError('a path that starts with a slash, such as /orders/:id');
  const parts = text.slice(1).split('/');
  const segments = parts.map((part, index) => parseSegment(part, index === parts.length - 1));
  const names = segments.flatMap((segment) => (segment.kind === 'one' ? (segment.name ?? []) : []));
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new PatternError(`another name for one of the two :${twice}`);
  return { text, segments };
}

/** Whether the pattern fits a path byte for byte. */
export function fits({ segments }: Pattern, path: string): boolean {
  let at = 1;
  for (const segment of segments) {
    if (segment.kind === 'rest') return true;
    if (at > path.length) return false;
    const end = segmentEnd(path, at);
    if (segment.kind === 'one' ? end === at : !isAt(segment.text, path, at, end)) return false;
    at = end + 1;
  }
  return at > path.length;
}

/** Where the segment that begins at `at` ends: at the next slash or the end of the path. */
export function segmentEnd(path: string, at: number): number {
  for (let i = at; i < path.length; i += 1) if (path.charCodeAt(i) === SLASH) return i;
  return path.length;
}

function isAt(text: string, path: string, at: number, end: number): boolean {
  return end - at === text.length && path.startsWith(text, at);
}

function parseSegment(part: string, isLast: boolean): Segment {
  if (part === '**') {
    if (isLast) return { kind: 'rest' };
    throw new PatternError('** at the end of the path alone; in the middle * is one segment');
  }
  if (part === '*') return { kind: 'one', name: undefined };
  if (part.startsWith(':')) return { kind: 'one', name: parseName(part) };
  if (part === '' && isLast) return { kind: 'literal', text: '' };
  if (part === '' || part === '.' || part === '..') {
    throw new PatternError('a path without empty segments and without . and ..');
  }
  if (part.includes('*')) throw new PatternError('* or ** as a whole segment, not as a part of one');
  if (part.includes('%25')) {
    throw new PatternError(
      'a path without an encoded percent sign (%25), which some services decode once more',
    );
  }
  if (LITERAL.test(part)) return { kind: 'literal', text: part };
  throw new PatternError(
    "a path of segments of letters, digits and ._~!$&'()+,=@:- with everything else percent-encoded, or *, :name, **",
  );
}

function parseName(part: string): string {
  const name = part.slice(1);
  if (NAME.test(name)) return name;
  throw new PatternError(`a name of letters, digits and _ behind the colon, such as :id, for ${part}`);
}
