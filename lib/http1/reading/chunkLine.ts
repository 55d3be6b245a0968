import { BrokenResponseError } from '../errors.ts';

/** The most digits of a size, so that a double holds it exactly. */
const MAX_SIZE_DIGITS = 13;
/** The longest chunk extensions, which nobody reads. */
const MAX_LINE_BYTES = 4096;
const CR = 0x0d;
const LF = 0x0a;
const TAB = 0x09;
const SPACE = 0x20;
const DELETE = 0x7f;
const SEMICOLON = 0x3b;

type Within = 'size' | 'extension' | 'end';

/** Reads the line before a chunk (RFC 9112 section 7.1): its size in hexadecimal, and extensions that are dropped. */
export class ChunkLine {
  #within: Within = 'size';
  #bytes = 0;
  #digits = 0;
  #value = 0;
  #size: number | undefined;

  /** The chunk's size, after a `read` that has found the end of the line. */
  get size(): number | undefined {
    return this.#size;
  }

  /** Returns the offset after the line's end, or the length of `chunk`. */
  read(chunk: Buffer, start: number): number {
    this.#size = undefined;
    let at = start;
    while (at < chunk.length && this.#size === undefined) this.#readByte(chunk[at++] as number);
    return at;
  }

  #readByte(byte: number): void {
    if (++this.#bytes > MAX_LINE_BYTES) throw bad(`its line has more than ${MAX_LINE_BYTES} bytes`);
    if (this.#within === 'end') this.#end(byte);
    else if (byte === CR && this.#digits > 0) this.#within = 'end';
    else if (this.#within === 'size') this.#readSize(byte);
    else if ((byte < SPACE && byte !== TAB) || byte >= DELETE) throw bad('an extension is not ASCII text');
  }

  #readSize(byte: number): void {
    const digit = hexDigit(byte);
    if (byte === SEMICOLON && this.#digits > 0) this.#within = 'extension';
    else if (digit === -1) throw bad('its size is no hexadecimal number');
    else if (++this.#digits > MAX_SIZE_DIGITS) throw bad(`its size has more than ${MAX_SIZE_DIGITS} digits`);
    else this.#value = this.#value * 16 + digit;
  }

  #end(byte: number): void {
    if (byte !== LF) throw bad('its line has a bare CR');
    this.#size = this.#value;
    this.#within = 'size';
    this.#bytes = 0;
    this.#digits = 0;
    this.#value = 0;
  }
}

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}

function bad(what: string): BrokenResponseError {
  return new BrokenResponseError('bad_chunk', `a chunk is broken: ${what}`);
}
