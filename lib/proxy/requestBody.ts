import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { ClientGoneError } from '../exchange/errors.ts';
import { BodyTooLargeError } from './errors.ts';

/**
 * The request's content on its way to a replica. A stream of its own, because the transport destroys the body of a
 * failed call, and destroying `req` would cut the client off before it gets its reply. Nothing of `req` is read
 * before a replica asks for it, so that content which did not travel can still go to another one.
 */
export class RequestBody extends Readable {
  readonly #req: IncomingMessage;
  readonly #maxBytes: number;
  readonly #onContent: (bytes: number) => void;
  #bytes = 0;
  #begun = false;
  #complete = false;
  #blocked = true;

  /** `maxBytes` 0 means no limit. `onContent` is called with the size of each piece. */
  constructor(req: IncomingMessage, maxBytes: number, onContent: (bytes: number) => void = () => {}) {
    super();
    this.#req = req;
    this.#maxBytes = maxBytes;
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
    if (!this.#begun) this.#req.on('data', this.#onData).on('end', this.#onEnd);
    this.#begun = true;
    this.#req.resume();
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    this.#req.off('data', this.#onData).off('end', this.#onEnd).off('close', this.#onClose);
    // What is left of content that has begun to travel is read and dropped, so that the connection can carry the reply.
    if (this.#begun) this.#req.resume();
    callback(error);
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#bytes += chunk.length;
    if (this.#maxBytes > 0 && this.#bytes > this.#maxBytes) {
      this.destroy(new BodyTooLargeError(this.#maxBytes));
    } else if (!this.push(chunk)) {
      this.#blocked = true;
      this.#req.pause();
    }
    this.#onContent(chunk.length);
  };

  readonly #onEnd = (): void => {
    this.#complete = true;
    this.push(null);
  };

  readonly #onClose = (): void => {
    if (!this.#complete) this.destroy(new ClientGoneError());
  };
}
