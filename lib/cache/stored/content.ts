/**
 * Content as it is stored. Short content is a string with one character for each byte: V8 moves and frees it at a tenth of
 * the cost of a buffer, and a response is written from it as it is.
 */
export type Content = Buffer | string;

/** Up to this size content is sent in one piece with its head. */
const SHORT_BYTES = 16 * 1024;

/**
 * Collects content in memory of its own: a piece may be a view into the 64 KiB that were read from a socket. If the length
 * is known, long content is copied into its final buffer at once: V8 would move pieces that are kept until the end to its
 * old generation, and run a full collection for every 60 MiB of those.
 */
export class Gathering {
  readonly #promisedBytes: number;
  #bytes = 0;
  #pieces: Buffer[] = [];
  #whole: Buffer | undefined;

  /** @param promisedBytes 0 when nobody has said how long it is */
  constructor(promisedBytes: number) {
    this.#promisedBytes = promisedBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** What is beyond the promised length is counted, and not kept. */
  add(piece: Buffer): void {
    if (this.#promisedBytes > SHORT_BYTES) {
      this.#whole ??= Buffer.allocUnsafeSlow(this.#promisedBytes);
      piece.copy(this.#whole, this.#bytes);
    } else {
      this.#pieces.push(piece);
    }
    this.#bytes += piece.length;
  }

  content(): Content {
    if (this.#whole) return this.#whole;
    return this.#bytes <= SHORT_BYTES ? short(this.#pieces) : joined(this.#pieces, this.#bytes);
  }
}

function joined(pieces: readonly Buffer[], bytes: number): Buffer {
  const content = Buffer.allocUnsafeSlow(bytes);
  let at = 0;
  for (const piece of pieces) at += piece.copy(content, at);
  return content;
}

/** The form in which content is written fastest. */
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
