import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { ClientGoneError } from '../../exchange/errors.ts';
import { BodyTooLargeError } from '../errors.ts';

/** Chunks that are smaller are put together, if they come in one turn of the event loop. */
const SMALL_BYTES = 4 * 1024;

/**
 * The request's content on its way to a replica. A stream of its own, because the transport destroys the body of a
 * failed call, and destroying `req` would cut the client off before it gets its reply. Nothing of `req` is read
 * before a replica asks for it, so that content which did not travel can still go to another one.
 */
export class RequestBody extends Readable {
  readonly #req: IncomingMessage;
  readonly #maxBytes: number;
  readonly #onContent: (bytes: number) => void;
  readonly #isChunked: boolean;
  /** All of it, where it was waited for before. */
  readonly #collected: Buffer | undefined;
  #bytes = 0;
  #begun = false;
  #complete = false;
  #blocked = true;
  /** What has come in this turn, and is not passed on yet. */
  #gathered: Buffer[] = [];

  /**
   * `maxBytes` 0 means no limit. `onContent` is called with the size of each piece. Nothing is read of `req` where its
   * content was `collected` before.
   */
  constructor(
    req: IncomingMessage,
    maxBytes: number,
    onContent: (bytes: number) => void = () => {},
    collected?: Buffer,
  ) {
    super();
    this.#collected = collected;
    this.#bytes = collected?.length ?? 0;
    this.#complete = collected !== undefined;
    this.#req = req;
    this.#maxBytes = maxBytes;
    this.#isChunked = req.headers['transfer-encoding'] !== undefined;
    this.#onContent = onContent;
    // Whoever sends it listens, but not to the very end: an error after that must not end the process.
    this.on('error', () => {});
    req.on('close', this.#onClose);
  }

  /** Bytes that have arrived so far. */
  get receivedBytes(): number {
    return this.#bytes;
  }

  /** Whether the next step is the replica's: all content has arrived, or the replica does not read on. */
  get awaitsReplica(): boolean {
    return this.#complete || this.#blocked;
  }

  override _read(): void {
    this.#blocked = false;
    if (this.#collected) {
      this.#onContent(this.#collected.length);
      this.push(this.#collected);
      this.push(null);
      return;
    }
    if (!this.#begun) this.#req.on('data', this.#onData).on('end', this.#onEnd);
    this.#begun = true;
    this.#req.resume();
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    this.#gathered = [];
    this.#req.off('data', this.#onData).off('end', this.#onEnd).off('close', this.#onClose);
    // What is left of content that has begun to travel is read and dropped, so that the connection can carry the reply.
    if (this.#begun) this.#req.resume();
    callback(error);
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#bytes += chunk.length;
    if (this.#maxBytes > 0 && this.#bytes > this.#maxBytes) {
      this.destroy(new BodyTooLargeError(this.#maxBytes));
    } else if (!this.#isChunked || (chunk.length >= SMALL_BYTES && this.#gathered.length === 0)) {
      this.#passOn(chunk);
    } else if (this.#gathered.push(chunk) === 1) {
      process.nextTick(this.#flush);
    }
    this.#onContent(chunk.length);
  };

  /** Passes on all of a turn in one piece: it is chunks of a byte that it spares a write each. */
  readonly #flush = (): void => {
    const gathered = this.#gathered;
    const [first] = gathered;
    if (!first) return;
    this.#gathered = [];
    this.#passOn(gathered.length === 1 ? first : Buffer.concat(gathered));
  };

  #passOn(chunk: Buffer): void {
    if (this.push(chunk)) return;
    this.#blocked = true;
    this.#req.pause();
  }

  readonly #onEnd = (): void => {
    this.#flush();
    this.#complete = true;
    this.push(null);
  };

  readonly #onClose = (): void => {
    if (!this.#complete) this.destroy(new ClientGoneError());
  };
}
