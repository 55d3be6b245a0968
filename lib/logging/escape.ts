/**
 * Characters that no log line may hold as they are: controls (C0, DEL and C1), what is not to be seen or turns the
 * direction of text (Cf: bidirectional controls, zero-width and tag characters, the soft hyphen), separators of lines and
 * paragraphs, and halves of characters. A terminal obeys some, and others let a line look like another one.
 */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;
/** The same without the place that a global expression keeps between calls. */
const UNSAFE_ANYWHERE = new RegExp(UNSAFE.source, 'u');

/** A line of JSON with each of them escaped: it parses to the same. `JSON.stringify` leaves all but C0 and halves as is. */
export function safeJson(line: string): string {
  // Nearly every line is plain ASCII, which is quickest to see in this way: one byte for each character, and no DEL.
  if (Buffer.byteLength(line) === line.length && !line.includes('\x7f')) return line;
  return line.replace(UNSAFE, escaped);
}

/** Text for people with each of them escaped, so that it neither begins a line of its own nor commands a terminal. */
export function safeText(text: string): string {
  return text.replace(UNSAFE, escaped);
}

/** A value for people, as one word: in quotes with escapes when it holds any of them. */
export function safeValue(value: string): string {
  return UNSAFE_ANYWHERE.test(value) ? safeJson(JSON.stringify(value)) : value;
}

/** Text of several lines for people, such as a stack: lines after the first are set in, so none looks like a new entry. */
export function safeLines(text: string): string {
  return text.split('\n').map(safeText).join('\n    ');
}

/** As JSON and JavaScript escape UTF-16. */
function escaped(character: string): string {
  return character
    .split('')
    .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .join('');
}
