/** The longest head of a frame: two bytes, a length of eight bytes, a mask of four bytes. */
const MAX_HEAD_BYTES = 14;

/** Finds where the frames in one direction of a WebSocket end (RFC 6455 section 5.2). It keeps no content. */
export class FrameEnds {
  readonly #head = Buffer.alloc(MAX_HEAD_BYTES);
  #headBytes = 0;
  #contentLeft = 0;

  /** Whether the next byte begins a frame. */
  get between(): boolean {
    return this.#headBytes === 0 && this.#contentLeft === 0;
  }

  /** Reads all of `chunk`. */
  pass(chunk: Buffer): void {
    for (let at = 0; at < chunk.length; ) at = this.toEnd(chunk, at);
  }

  /**
   * Reads `chunk` from `start` to the end of the frame, or of the chunk. Returns the offset after the last byte read.
   */
  toEnd(chunk: Buffer, start = 0): number {
    let at = start;
    do {
      if (this.#contentLeft > 0) at = this.#skip(chunk, at);
      else this.#readHead(chunk[at++] as number);
    } while (at < chunk.length && !this.between);
    return at;
  }

  #skip(chunk: Buffer, at: number): number {
    const bytes = Math.min(this.#contentLeft, chunk.length - at);
    this.#contentLeft -= bytes;
    return at + bytes;
  }

  #readHead(byte: number): void {
    this.#head[this.#headBytes++] = byte;
    if (this.#headBytes < 2 || this.#headBytes < headLength(this.#head)) return;
    this.#contentLeft = contentLength(this.#head);
    this.#headBytes = 0;
  }
}

function headLength(head: Buffer): number {
  const second = head[1] as number;
  const short = second & 0x7f;
  const lengthBytes = short === 126 ? 2 : short === 127 ? 8 : 0;
  return 2 + lengthBytes + (second & 0x80 ? 4 : 0);
}

function contentLength(head: Buffer): number {
  const short = (head[1] as number) & 0x7f;
  if (short === 126) return head.readUInt16BE(2);
  return short === 127 ? head.readUInt32BE(2) * 2 ** 32 + head.readUInt32BE(6) : short;
}
