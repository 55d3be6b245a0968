import { type Pattern, PatternError, type Segment, segmentEnd } from './pattern.ts';
import { foldedSegment, hasDotSegment, isOneSegment } from './spelling/readings.ts';

/** What the parts of a pattern stand for in a path, byte for byte. */
export interface Captures {
  readonly named: ReadonlyMap<string, string>;
  /** What `**` stands for, with the slash before it: '' for nothing. */
  readonly rest: string;
}

/** A text with places for what the parts of a pattern stand for. */
export type Template = readonly Piece[];

type Piece =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'named'; readonly name: string }
  | { readonly kind: 'rest' };

/** Names begin with a letter, so that neither a port nor a scheme looks like one. */
const PLACE = /:([a-z_]\w*)|\/\*\*$/gi;

/**
 * Reads a template such as `/orders/:id` or `https://faf.example/new/**`, for paths that fit `pattern`: `:name` stands for
 * what the pattern's `:name` does, and `/**` at the end for what its `**` does.
 *
 * @throws {PatternError} where it names what the pattern does not have
 */
export function parseTemplate(text: string, pattern: Pattern): Template {
  const pieces: Piece[] = [];
  let from = 0;
  for (const { index, 0: place, 1: name } of text.matchAll(PLACE)) {
    addText(pieces, text.slice(from, index));
    pieces.push(pieceFor(name, pattern));
    from = index + place.length;
  }
  addText(pieces, text.slice(from));
  return pieces;
}

/** The template with each place filled. */
export function expand(template: Template, { named, rest }: Captures): string {
  let text = '';
  for (const piece of template) {
    if (piece.kind === 'text') text += piece.text;
    else text += piece.kind === 'rest' ? rest : (named.get(piece.name) ?? '');
  }
  return text;
}

/**
 * What the parts of a pattern stand for. Undefined where they do not lie in the path one after the other, as in a path that
 * fits only once its slashes are counted in another way.
 */
export function capturesOf({ segments }: Pattern, path: string): Captures | undefined {
  const named = new Map<string, string>();
  let at = 1;
  for (const segment of segments) {
    if (segment.kind === 'rest') return restOf(named, path.slice(at - 1));
    if (at > path.length) return undefined;
    const end = segmentEnd(path, at);
    const raw = path.slice(at, end);
    if (!isSpelling(segment, raw)) return undefined;
    if (segment.kind === 'one' && segment.name !== undefined) named.set(segment.name, raw);
    at = end + 1;
  }
  // A slash at the end more than the pattern has is a spelling of the same path.
  const rest = path.slice(at - 1);
  return rest === '' || rest === '/' ? { named, rest: '' } : undefined;
}

/** A dot segment that a second decoding brings out would lead a rewritten path out of where it was put. */
function restOf(named: Captures['named'], rest: string): Captures | undefined {
  return hasDotSegment(rest) ? undefined : { named, rest };
}

function isSpelling(segment: Exclude<Segment, { kind: 'rest' }>, raw: string): boolean {
  // What is one segment here and several to the service could lead it past another route.
  if (segment.kind === 'one') return raw !== '' && isOneSegment(raw);
  return raw === segment.text || foldedSegment(raw) === foldedSegment(segment.text);
}

function addText(pieces: Piece[], text: string): void {
  if (text.includes('*')) throw new PatternError('* only as /** at the end, and a :name for one segment');
  if (text !== '') pieces.push({ kind: 'text', text });
}

function pieceFor(name: string | undefined, { text, segments }: Pattern): Piece {
  if (name === undefined) {
    if (segments.at(-1)?.kind === 'rest') return { kind: 'rest' };
    throw new PatternError(`no ** here, since ${text} has none`);
  }
  const names = segments.flatMap((segment) => (segment.kind === 'one' ? (segment.name ?? []) : []));
  if (names.includes(name)) return { kind: 'named', name };
  const those = names.length > 0 ? names.map((each) => `:${each}`).join(', ') : 'none';
  throw new PatternError(
    `no :${name}, since the names in ${text} are ${those} (a colon that means itself is %3A)`,
  );
}
