import { BrokenResponseError, ResponseHeadTooLargeError } from '../errors.ts';

const EMPTY_LINE = Buffer.from('\r\n\r\n');
const CRLF = Buffer.from('\r\n');
const NOTHING = Buffer.alloc(0);
const CR = 0x0d;
const LF = 0x0a;
const FIRST_HELD_BYTES = 1024;

/**
 * Finds the end of a head or a trailer section that may arrive in pieces. It keeps at most `maxBytes` and one piece.
 */
export class Section {
  readonly #maxBytes: number;
  readonly #beginning: string;
  #held = NOTHING;
  #heldBytes = 0;
  #endAt = 0;

  /** @param beginning the text with which every section of this kind begins */
  constructor(maxBytes: number, beginning = '') {
    this.#maxBytes = maxBytes;
    this.#beginning = beginning;
  }

  /** The offset after what the last `read` has taken of its chunk. */
  get endAt(): number {
    return this.#endAt;
  }

  /** Begins with the CRLF of the line before, so that an empty section ends like any other. */
  startBehindLine(): void {
    this.#hold(CRLF, 0);
  }

  /** The text before the empty line, once that has arrived. Undefined before, and then all of `chunk` was taken. */
  read(chunk: Buffer, start: number): string | undefined {
    const heldBefore = this.#heldBytes;
    const end = heldBefore === 0 ? chunk.indexOf(EMPTY_LINE, start) : -1;
    if (end !== -1) return this.#found(chunk, start, end);
    this.#hold(chunk, start);
    const held = this.#held.subarray(0, this.#heldBytes);
    // The empty line may begin in an earlier piece.
    const heldEnd = held.indexOf(EMPTY_LINE, Math.max(0, heldBefore - EMPTY_LINE.length + 1));
    if (heldEnd === -1) {
      this.#endAt = chunk.length;
      this.#assertPromising(held, heldBefore);
      return undefined;
    }
    this.#held = NOTHING;
    this.#heldBytes = 0;
    const text = this.#found(held, 0, heldEnd);
    this.#endAt += start - heldBefore;
    return text;
  }

  #found(bytes: Buffer, start: number, end: number): string {
    this.#assertFits(end - start);
    this.#endAt = end + EMPTY_LINE.length;
    return bytes.toString('latin1', start, end);
  }

  #hold(chunk: Buffer, start: number): void {
    const needed = this.#heldBytes + chunk.length - start;
    if (needed > this.#held.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(FIRST_HELD_BYTES, 2 * this.#held.length, needed));
      this.#held.copy(larger, 0, 0, this.#heldBytes);
      this.#held = larger;
    }
    chunk.copy(this.#held, this.#heldBytes, start);
    this.#heldBytes = needed;
  }

  /** Fails early for other protocols or line endings, since an empty line might never come. */
  #assertPromising(held: Buffer, from: number): void {
    const beginning = held.toString('latin1', 0, this.#beginning.length);
    if (!this.#beginning.startsWith(beginning)) {
      throw new BrokenResponseError('bad_status_line', `no status line: ${JSON.stringify(beginning)}`);
    }
    for (let at = held.indexOf(LF, from); at !== -1; at = held.indexOf(LF, at + 1)) {
      if (held[at - 1] !== CR) throw new BrokenResponseError('bad_field', 'a line ends in a bare LF');
    }
    this.#assertFits(held.length);
  }

  #assertFits(bytes: number): void {
    if (bytes <= this.#maxBytes) return;
    throw new ResponseHeadTooLargeError(`its head has more than ${this.#maxBytes} bytes`);
  }
}
