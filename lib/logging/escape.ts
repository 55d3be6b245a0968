/**
 * Characters that must not stand in a log line unescaped: control characters (C0, DEL and C1), invisible ones and those that
 * change the direction of text (Cf: bidirectional controls, zero-width and tag characters, the soft hyphen), separators of
 * lines and paragraphs, and lone surrogates. Some of them control a terminal, others make a line look like another one.
 */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;
/** The same without the state that a global expression keeps between calls. */
const UNSAFE_ANYWHERE = new RegExp(UNSAFE.source, 'u');

/**
 * Escapes these characters in a line of JSON, without changing its value. `JSON.stringify` only escapes C0 and lone
 * surrogates.
 */
export function safeJson(line: string): string {
  // Nearly every line is plain ASCII, which this test finds out fastest: one byte for each character, and no DEL.
  if (Buffer.byteLength(line) === line.length && !line.includes('\x7f')) return line;
  return line.replace(UNSAFE, escaped);
}

/** Escapes these characters in text for people, so that it cannot begin a new line or control a terminal. */
export function safeText(text: string): string {
  return text.replace(UNSAFE, escaped);
}

/** A value for people as one word: quoted and escaped when it contains any of these characters. */
export function safeValue(value: string): string {
  return UNSAFE_ANYWHERE.test(value) ? safeJson(JSON.stringify(value)) : value;
}

/** Text of several lines, such as a stack: lines after the first are indented, so that none looks like a new entry. */
export function safeLines(text: string): string {
  return text.split('\n').map(safeText).join('\n    ');
}

/** The escape sequence of JSON and JavaScript for a UTF-16 unit. */
function escaped(character: string): string {
  return character
    .split('')
    .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .join('');
}
