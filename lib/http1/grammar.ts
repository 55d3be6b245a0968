const TAB = 0x09;
const DELETE = 0x7f;
const SPACE = 0x20;
const LATIN1_END = 0xff;
const HYPHEN = 0x2d;
const CASE = 0x20;
const DIGIT_0 = 0x30;
const MAX_DIGITS = 15;

/** By character code: 1 for characters of a token (RFC 9110 section 5.6.2). */
const TOKEN_CHARACTERS = Uint8Array.from({ length: 256 }, (_, code) =>
  /[!#$%&'*+\-.^_`|~0-9A-Za-z]/.test(String.fromCharCode(code)) ? 1 : 0,
);

/** The offset of the first character from `start` on that is not allowed in a token. */
export function tokenEnd(text: string, start: number): number {
  let at = start;
  while (at < text.length && TOKEN_CHARACTERS[text.charCodeAt(at)] === 1) at += 1;
  return at;
}

export function isToken(text: string): boolean {
  return text.length > 0 && tokenEnd(text, 0) === text.length;
}

/**
 * The offset of the first character from `start` on that is not allowed in a field value or reason (RFC 9110 section
 * 5.5).
 */
export function textEnd(text: string, start: number): number {
  let at = start;
  while (at < text.length && isTextCharacter(text.charCodeAt(at))) at += 1;
  return at;
}

/** Whether the text is a valid field value. */
export function isFieldValue(text: string): boolean {
  return textEnd(text, 0) === text.length;
}

/** Whether the text is a valid request target: it cannot end the request line or begin another part of it. */
export function isTarget(text: string): boolean {
  if (text.charCodeAt(0) !== 0x2f && text !== '*') return false;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code <= SPACE || code === DELETE || code > LATIN1_END) return false;
  }
  return true;
}

/** `text` from `start` to `end` without the blanks around it. */
export function trimmed(text: string, start: number, end: number): string {
  let from = start;
  let to = end;
  while (from < to && isBlank(text.charCodeAt(from))) from += 1;
  while (to > from && isBlank(text.charCodeAt(to - 1))) to -= 1;
  return text.slice(from, to);
}

/** Whether `name`, a token, is `lowerCaseName`, of letters and hyphens, in any case. */
export function isNamed(name: string, lowerCaseName: string): boolean {
  if (name === lowerCaseName) return true;
  if (name.length !== lowerCaseName.length) return false;
  for (let at = 0; at < name.length; at += 1) {
    const expected = lowerCaseName.charCodeAt(at);
    const code = name.charCodeAt(at);
    // Sets the bit for lower case, which leaves a hyphen unchanged.
    if (code !== expected && (expected === HYPHEN || (code | CASE) !== expected)) return false;
  }
  return true;
}

/** Parses 1 to 15 digits, which a double holds exactly; NaN for any other text. */
export function wholeNumber(text: string): number {
  if (text.length === 0 || text.length > MAX_DIGITS) return Number.NaN;
  let number = 0;
  for (let at = 0; at < text.length; at += 1) {
    const digit = text.charCodeAt(at) - DIGIT_0;
    if (!(digit >= 0 && digit <= 9)) return Number.NaN;
    number = number * 10 + digit;
  }
  return number;
}

function isTextCharacter(code: number): boolean {
  return code >= SPACE ? code !== DELETE && code <= LATIN1_END : code === TAB;
}

function isBlank(code: number): boolean {
  return code === SPACE || code === TAB;
}
