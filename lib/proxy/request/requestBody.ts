import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { ClientGoneError } from '../../exchange/errors.ts';
import type { ContentObserver } from '../../exchange/exchange.ts';
import { BodyTooLargeError } from '../errors.ts';

/** Smaller chunks are joined when they arrive in the same turn of the event loop. */
const SMALL_BYTES = 4 * 1024;

/**
 * The request's content on its way to a replica. It is a stream of its own because the transport destroys the body of a failed
 * call: destroying `req` would close the client's connection before it gets its reply. Nothing of `req` is read before the
 * replica takes it, so that unread content can still be sent to another replica.
 */
export class RequestBody extends Readable {
  readonly #req: IncomingMessage;
  readonly #maxBytes: number;
  readonly #onContent: (bytes: number) => void;
  readonly #isChunked: boolean;
  /** The whole content, if it was collected before. */
  readonly #collected: Buffer | undefined;
  readonly #observer: ContentObserver | undefined;
  #bytes = 0;
  #begun = false;
  #complete = false;
  #blocked = true;
  /** Chunks of this turn of the event loop that are not passed on yet. */
  #gathered: Buffer[] = [];

  /**
   * `maxBytes` 0 means no limit. `onContent` is called with the size of each piece. When `collected` is given, nothing is read
   * of `req`, and `observer` sees nothing.
   */
  constructor(
    req: IncomingMessage,
    maxBytes: number,
    onContent: (bytes: number) => void = () => {},
    collected?: Buffer,
    observer?: ContentObserver,
  ) {
    super();
    this.#observer = observer;
    this.#collected = collected;
    this.#bytes = collected?.length ?? 0;
    this.#complete = collected !== undefined;
    this.#req = req;
    this.#maxBytes = maxBytes;
    this.#isChunked = req.headers['transfer-encoding'] !== undefined;
    this.#onContent = onContent;
    // The sender stops listening at its end. An error after that must not end the process.
    this.on('error', () => {});
    req.on('close', this.#onClose);
  }

  /** Bytes that have arrived so far. */
  get receivedBytes(): number {
    return this.#bytes;
  }

  /** Whether the gateway waits for the replica: all content has arrived, or the replica does not read on. */
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
    // The rest of content that was partly sent is read and dropped, so that the client can receive its reply.
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
    this.#observer?.content(chunk);
  };

  /** Passes on all small chunks of a turn together: otherwise each would cost a write, even a chunk of one byte. */
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
    this.#observer?.end();
  };

  readonly #onClose = (): void => {
    if (!this.#complete) this.destroy(new ClientGoneError());
  };
}
