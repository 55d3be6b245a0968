/**
 * Content as it is kept. What is short is a string with a character for each byte: V8 moves and frees one for a tenth
 * of what a buffer costs it, and an answer is written from one.
 */
export type Content = Buffer | string;

/** Up to here content leaves in one piece with its head. */
const SHORT_BYTES = 16 * 1024;

/** In memory of its own: a piece may be a view into the 64 KiB that were read from a socket. */
export function contentOf(pieces: readonly Buffer[], bytes: number): Content {
  if (bytes <= SHORT_BYTES) return short(pieces);
  const content = Buffer.allocUnsafeSlow(bytes);
  let at = 0;
  for (const piece of pieces) at += piece.copy(content, at);
  return content;
}

/** What an answer is written from. */
export function writable(content: Content): Content {
  return typeof content === 'string' || content.length > SHORT_BYTES ? content : content.toString('latin1');
}

export function partOf(content: Content, from: number, to: number): Content {
  return typeof content === 'string' ? content.slice(from, to) : content.subarray(from, to);
}

export function bytesOf(content: Content): Buffer {
  return typeof content === 'string' ? Buffer.from(content, 'latin1') : content;
}

function short(pieces: readonly Buffer[]): string {
  const [first] = pieces;
  if (first && pieces.length === 1) return first.toString('latin1');
  return Buffer.concat(pieces).toString('latin1');
}
