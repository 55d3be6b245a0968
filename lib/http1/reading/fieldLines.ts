import { BrokenResponseError, ResponseHeadTooLargeError } from '../errors.ts';
import { textEnd, tokenEnd, trimmed } from '../grammar.ts';

/** The most field lines of one section. */
export const MAX_FIELDS = 1000;

const COLON = 0x3a;
const CR = 0x0d;
const LF = 0x0a;

/**
 * Parses the field lines in `text` from `start` to its end, each but the last ending in CRLF. Names and values together must have
 * less than `maxBytes`, and there may be at most `MAX_FIELDS` lines. Throws `BrokenResponseError` for everything that does not
 * follow RFC 9112 section 5 exactly: folded lines, blanks before the colon, bare CR or LF, control characters.
 */
export function readFieldLines(text: string, start: number, maxBytes: number): string[] {
  const fields: string[] = [];
  let bytes = 0;
  for (let at = start; at < text.length; ) {
    const colon = tokenEnd(text, at);
    if (colon === at || text.charCodeAt(colon) !== COLON) {
      throw new BrokenResponseError('bad_field', `a field line has no name and colon: ${excerpt(text, at)}`);
    }
    const end = lineEnd(text, colon + 1);
    const value = trimmed(text, colon + 1, end);
    bytes += colon - at + value.length;
    fields.push(text.slice(at, colon), value);
    at = end + 2;
  }
  if (bytes >= maxBytes) {
    throw new ResponseHeadTooLargeError(
      `its fields have ${bytes} bytes, where less than ${maxBytes} are allowed`,
    );
  }
  if (fields.length > 2 * MAX_FIELDS) {
    throw new ResponseHeadTooLargeError(
      `it has ${fields.length / 2} fields, where ${MAX_FIELDS} are allowed`,
    );
  }
  return fields;
}

/** The offset of the line's CRLF, or the end of `text`. Throws for control characters before it. */
export function lineEnd(text: string, start: number): number {
  const end = textEnd(text, start);
  if (end === text.length) return end;
  if (text.charCodeAt(end) === CR && text.charCodeAt(end + 1) === LF) return end;
  throw new BrokenResponseError('bad_field', `a line has a control character: ${excerpt(text, start)}`);
}

/** An excerpt of the broken text, for the log. */
function excerpt(text: string, at: number): string {
  return JSON.stringify(text.slice(at, at + 40));
}
