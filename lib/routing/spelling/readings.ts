import {
  before,
  foldedCharacters,
  percentDecodedText,
  percentDecodedTwice,
  withoutTrailingDots,
} from './lenientText.ts';

const SLASH = 0x2f;
const DOT = 0x2e;
const BACKSLASH = 0x5c;
const SEPARATORS = /[\\/]/;

/** Marks that no service decodes, folds or takes apart: `-_~!$&'()*+,:=@` (RFC 3986 section 3.3). */
const MARKS: ReadonlySet<number> = new Set([..."-_~!$&'()*+,:=@"].map((mark) => mark.charCodeAt(0)));

/** In place of a slash that one reading takes for a part of a segment's name. No pattern has it. */
const INNER_SLASH = '\0';

/**
 * Whether every service reads the path in the same way, letter case apart: segments of letters, digits, marks but `;` and `%`, and
 * inner dots, each behind one slash, and no slash at the end.
 */
export function isPlain(path: string): boolean {
  let previous = 0;
  for (let i = 0; i < path.length; i += 1) {
    const code = path.charCodeAt(i);
    const isMark = code === SLASH || code === DOT;
    const wasMark = previous === SLASH || previous === DOT;
    if (isMark ? wasMark : !isPlainCharacter(code)) return false;
    previous = code;
  }
  return previous !== SLASH && previous !== DOT;
}

/** Of a path that services may read in several ways, the most characters and segments that are read at all. */
const MOST_CHARACTERS = 2048;
const MOST_SEGMENTS = 40;

/**
 * Whether a path that is not plain is longer than any that means well: each of its readings takes time, before anybody has shown
 * a token.
 */
export function isTooOdd(path: string): boolean {
  if (path.length > MOST_CHARACTERS) return true;
  const decoded = percentDecodedTwice(path);
  let segments = 0;
  for (let i = 0; i < decoded.length; i += 1) {
    const code = decoded.charCodeAt(i);
    if (code === SLASH || code === BACKSLASH) segments += 1;
  }
  return segments > MOST_SEGMENTS;
}

/** A segment as the most lenient service reads it. */
export function foldedSegment(raw: string): string {
  if (raw === '' || isPlain(`/${raw}`)) return raw.toLowerCase();
  const name = before(foldedCharacters(percentDecodedTwice(raw)), ';').trim();
  const folded = name === '.' || name === '..' ? name : withoutTrailingDots(name);
  return SEPARATORS.test(folded) ? folded.replaceAll(/[\\/]/g, INNER_SLASH) : folded;
}

/** Whether every service takes it for one segment, and for no dot segment, however often it decodes. */
export function isOneSegment(raw: string): boolean {
  if (isPlain(`/${raw}`)) return true;
  const text = utf8(raw);
  for (const decoded of decodings(text)) if (/[\\/?#]/.test(foldedCharacters(decoded))) return false;
  const folded = foldedSegment(text);
  return folded !== '' && folded !== '.' && folded !== '..';
}

/** Whether some service may find a dot segment in it, however often it decodes. */
export function hasDotSegment(path: string): boolean {
  if (isPlain(path)) return false;
  const text = utf8(path);
  for (const decoded of [text, ...decodings(text)]) {
    for (const segment of foldedCharacters(decoded).split(SEPARATORS)) {
      const folded = before(segment, ';').trim();
      if (folded === '.' || folded === '..') return true;
    }
  }
  return false;
}

/** The path with each of its segments folded: as many as before, and none taken apart. */
export function foldedPath(path: string): string {
  return path.split('/').map(foldedSegment).join('/');
}

/**
 * Every other path that some service may read, its segments folded: encoded slashes separate segments or do not, encoded
 * once or twice; slashes count once or each; dot segments that a second decoding brings out are followed or are names; what
 * is a query or a fragment after decoding is cut off or is not. Mostly one or two, for odd paths a hundred; linear in the
 * path's length, which `isTooOdd` bounds.
 */
export function readingsOf(path: string): ReadonlySet<string> {
  const readings = new Set<string>();
  const text = utf8(path);
  addStructures(readings, text.split('/'));
  if (!text.includes('%') && text === path) return readings;
  for (const decoded of decodings(text)) {
    const folded = foldedCharacters(decoded);
    for (const text of new Set([folded, before(before(folded, '?'), '#')])) {
      addStructures(readings, text.split(SEPARATORS));
      // A backslash is a slash to some, and a character to others.
      if (text.includes('\\')) addStructures(readings, text.split('/'));
    }
  }
  return readings;
}

/**
 * The same as services read it that heed letter case: nothing is folded, and parameters are left out or not. What a folded
 * reading takes for a literal segment may be somebody else's `:name` in one of these. Mostly one or two.
 */
export function unfoldedReadingsOf(path: string): ReadonlySet<string> {
  const readings = new Set<string>();
  const text = utf8(path);
  for (const decoded of [text, ...decodings(text)]) {
    for (const each of [decoded, withoutParameters(decoded)]) {
      for (const separators of decoded === text ? ['/'] : [SEPARATORS, '/']) {
        const [, ...parts] = each.split(separators);
        for (const segments of structuresOf(parts)) {
          readings.add(joined(segments));
          readings.add(joined(withoutDotSegments(segments)));
        }
      }
    }
  }
  return readings;
}

/** Decoded once or twice, with the parameters of each segment left out before, in between, or after that. */
function decodings(text: string): ReadonlySet<string> {
  const once = percentDecodedText(text);
  return new Set([
    once,
    percentDecodedTwice(text),
    percentDecodedText(withoutParameters(text)),
    percentDecodedTwice(withoutParameters(text)),
    percentDecodedText(withoutParameters(once)),
  ]);
}

function withoutParameters(path: string): string {
  if (!path.includes(';')) return path;
  return path
    .split('/')
    .map((segment) => before(segment, ';'))
    .join('/');
}

/** @param parts what stands between the slashes, beginning with the nothing before the first */
function addStructures(readings: Set<string>, [, ...parts]: string[]): void {
  const folded = parts.map(foldedSegment);
  const written = folded.filter((_, index) => parts[index] !== '');
  const open = parts.at(-1) === '' ? folded.slice(0, -1) : folded;
  for (const segments of new Set([folded, open, written.length < folded.length ? written : folded])) {
    // Who decodes once takes dots that are encoded twice for a name, and may drop those beside it.
    const dotless = segments.filter((segment) => segment !== '.');
    for (const list of [segments, dotless, withoutDotSegments(segments)]) {
      readings.add(joined(list));
      readings.add(joined(list.filter((segment) => segment !== '')));
    }
  }
}

/** Slashes count each, each but the last, or as one. */
function structuresOf(parts: readonly string[]): ReadonlySet<readonly string[]> {
  const open = parts.at(-1) === '' ? parts.slice(0, -1) : parts;
  return new Set([parts, open, parts.filter((part) => part !== '')]);
}

function withoutDotSegments(segments: readonly string[]): string[] {
  const result: string[] = [];
  for (const segment of segments) {
    if (segment === '..') result.pop();
    else if (segment !== '.') result.push(segment);
  }
  return result;
}

function joined(segments: readonly string[]): string {
  return segments.map((segment) => `/${segment}`).join('');
}

/** Node gives each byte of a target as one character. */
function utf8(path: string): string {
  const bytes = Buffer.from(path, 'latin1');
  const isAscii = bytes.every((byte) => byte < 0x80);
  return isAscii ? path : bytes.toString('utf8');
}

function isPlainCharacter(code: number): boolean {
  const lower = code | 0x20;
  if ((lower >= 0x61 && lower <= 0x7a) || (code >= 0x30 && code <= 0x39)) return true;
  return MARKS.has(code);
}
