import type { FieldLines } from '../../http/fields.ts';
import { BrokenResponseError } from '../errors.ts';
import { ChunkLine } from './chunkLine.ts';
import { MAX_FIELDS, readFieldLines } from './fieldLines.ts';
import { type ResponseHead, readResponseHead } from './responseHead.ts';
import { Section } from './section.ts';

/** Default limit for the names and values of one head together, in bytes. */
export const DEFAULT_MAX_HEAD_BYTES = 64 * 1024;
/** Room for the rest of a head: the status line, and colon, blanks and CRLF of each field. */
const MAX_AROUND_BYTES = 1024 + 8 * MAX_FIELDS;
/** Smaller chunks are joined. */
const SMALL_CHUNK_BYTES = 4 * 1024;
const MAX_INTERIM_RESPONSES = 100;
const CR = 0x0d;
const LF = 0x0a;
const NO_FIELDS: FieldLines = [];

/** Gets a response piece by piece. What it throws is thrown by `read`. */
export interface ResponseListener {
  /** Also called for interim responses, whose status is below 200. */
  onHead(head: ResponseHead): void;
  /** `chunk` is a copy. */
  onContent(chunk: Buffer): void;
  onEnd(trailers: FieldLines): void;
}

type Part = 'head' | 'content' | 'toTheClose' | 'chunkLine' | 'chunk' | 'chunkEnd' | 'trailers' | 'over';

/** Parses the responses of one connection, one at a time. After it has thrown it must not be used any more. */
export class ResponseReader {
  readonly #sink: ResponseListener;
  readonly #maxFieldBytes: number;
  readonly #head: Section;
  #trailers: Section | undefined;
  #chunkLine: ChunkLine | undefined;
  #part: Part = 'over';
  #method = '';
  #interimResponses = 0;
  /** Bytes that are left of the content or of the chunk. */
  #leftBytes = 0;
  #seesLineFeed = false;
  /** Small chunks of the data that is being read. */
  #gathered: Buffer[] = [];

  /** @param maxHeadBytes names and values of a head or a trailer section together must be smaller */
  constructor(sink: ResponseListener, maxHeadBytes = DEFAULT_MAX_HEAD_BYTES) {
    this.#sink = sink;
    this.#maxFieldBytes = maxHeadBytes;
    this.#head = new Section(maxHeadBytes + MAX_AROUND_BYTES, 'HTTP/1.');
  }

  /** Whether no response is expected, or the expected one is complete. */
  get over(): boolean {
    return this.#part === 'over';
  }

  /** Expects the response to a request with this method. */
  expect(method: string): void {
    this.#method = method;
    this.#interimResponses = 0;
    this.#part = 'head';
  }

  /**
   * Parses `chunk` without keeping a reference to it. Returns the offset after the response's end, or the length of `chunk`.
   * Throws `BrokenResponseError` for anything that is not a valid response (RFC 9112).
   */
  read(chunk: Buffer): number {
    try {
      return this.#readParts(chunk);
    } finally {
      // Also when parsing fails: the chunks before the broken bytes are passed on.
      if (this.#gathered.length > 0) this.#flush();
    }
  }

  /**
   * The other side has closed the connection properly. Returns false when no head has arrived. Throws `BrokenResponseError` when
   * the content is not complete.
   */
  close(): boolean {
    if (this.#part === 'toTheClose') this.#end(NO_FIELDS);
    if (this.#part === 'over') return true;
    if (this.#part === 'head') return false;
    throw new BrokenResponseError('cut_short', 'the connection was closed before the end of the response');
  }

  #readParts(chunk: Buffer): number {
    let at = 0;
    while (at < chunk.length && this.#part !== 'over') at = this.#readPart(chunk, at);
    return at;
  }

  #readPart(chunk: Buffer, at: number): number {
    switch (this.#part) {
      case 'head':
        return this.#readHead(chunk, at);
      case 'content':
      case 'chunk':
        return this.#readContent(chunk, at);
      case 'chunkLine':
        return this.#readChunkLine(chunk, at);
      case 'chunkEnd':
        return this.#readChunkEnd(chunk, at);
      case 'trailers':
        return this.#readTrailers(chunk, at);
      default:
        this.#sink.onContent(copyOf(chunk, at, chunk.length));
        return chunk.length;
    }
  }

  #readHead(chunk: Buffer, at: number): number {
    const text = this.#head.read(chunk, at);
    if (text === undefined) return chunk.length;
    const head = readResponseHead(text, this.#method, this.#maxFieldBytes);
    if (head.status < 200) this.#assertAsked(head.status);
    this.#sink.onHead(head);
    if (head.status >= 200) this.#begin(head);
    return this.#head.endAt;
  }

  /**
   * Refuses a 101, which this client never asks for, and more than a hundred other interim responses. It asks for no 100 either, but
   * that one says nothing that a client could not do without (RFC 9110 section 15.2.1).
   */
  #assertAsked(status: number): void {
    this.#interimResponses += 1;
    if (status < 100 || status === 101)
      throw new BrokenResponseError('unexpected_response', `status ${status}, which nobody asked for`);
    if (this.#interimResponses <= MAX_INTERIM_RESPONSES) return;
    const message = `more than ${MAX_INTERIM_RESPONSES} interim responses`;
    throw new BrokenResponseError('unexpected_response', message, { isOurLimit: true });
  }

  #begin({ framing, lengthBytes }: ResponseHead): void {
    this.#leftBytes = lengthBytes;
    if (framing === 'chunks') this.#part = 'chunkLine';
    else if (framing === 'close') this.#part = 'toTheClose';
    else if (lengthBytes > 0) this.#part = 'content';
    else this.#end(NO_FIELDS);
  }

  #readContent(chunk: Buffer, at: number): number {
    const end = Math.min(at + this.#leftBytes, chunk.length);
    this.#leftBytes -= end - at;
    this.#tell(copyOf(chunk, at, end));
    if (this.#leftBytes > 0) return end;
    if (this.#part === 'chunk') this.#part = 'chunkEnd';
    else this.#end(NO_FIELDS);
    return end;
  }

  /** Passes on joined small chunks, because each call costs the receiver. */
  #tell(content: Buffer): void {
    if (this.#part === 'chunk' && content.length < SMALL_CHUNK_BYTES) {
      this.#gathered.push(content);
      return;
    }
    if (this.#gathered.length > 0) this.#flush();
    this.#sink.onContent(content);
  }

  #flush(): void {
    const gathered = this.#gathered;
    this.#gathered = [];
    this.#sink.onContent(gathered.length === 1 ? (gathered[0] as Buffer) : Buffer.concat(gathered));
  }

  #readChunkLine(chunk: Buffer, at: number): number {
    this.#chunkLine ??= new ChunkLine();
    const end = this.#chunkLine.read(chunk, at);
    const { size } = this.#chunkLine;
    if (size === undefined) return end;
    this.#leftBytes = size;
    this.#part = size > 0 ? 'chunk' : 'trailers';
    if (size === 0) {
      this.#trailers ??= new Section(this.#maxFieldBytes + MAX_AROUND_BYTES);
      this.#trailers.startBehindLine();
    }
    return end;
  }

  #readChunkEnd(chunk: Buffer, at: number): number {
    const expected = this.#seesLineFeed ? LF : CR;
    if (chunk[at] !== expected) throw new BrokenResponseError('bad_chunk', 'a chunk is longer than its size');
    if (this.#seesLineFeed) this.#part = 'chunkLine';
    this.#seesLineFeed = !this.#seesLineFeed;
    return at + 1;
  }

  #readTrailers(chunk: Buffer, at: number): number {
    const section = this.#trailers as Section;
    const text = section.read(chunk, at);
    if (text === undefined) return chunk.length;
    this.#end(text === '' ? NO_FIELDS : readFieldLines(text, 2, this.#maxFieldBytes));
    return section.endAt;
  }

  #end(trailers: FieldLines): void {
    this.#part = 'over';
    if (this.#gathered.length > 0) this.#flush();
    this.#sink.onEnd(trailers);
  }
}

function copyOf(chunk: Buffer, start: number, end: number): Buffer {
  const copy = Buffer.allocUnsafe(end - start);
  chunk.copy(copy, 0, start, end);
  return copy;
}
