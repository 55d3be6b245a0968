import type { IncomingMessage } from 'node:http';
import type { Clock } from '../clock/clock.ts';
import { hasContent } from '../exchange/content.ts';

/** Tells whether a request's content still arrives. It looks when it is asked and does nothing for each chunk. */
export class Upload {
  readonly #req: IncomingMessage;
  readonly #clock: Clock;
  #seenBytes: number;
  #endedAtMs: number | undefined;

  /** `undefined` for a request without content, which has arrived whole with its head. */
  static of(req: IncomingMessage, clock: Clock): Upload | undefined {
    return hasContent(req) ? new Upload(req, clock) : undefined;
  }

  private constructor(req: IncomingMessage, clock: Clock) {
    this.#req = req;
    this.#clock = clock;
    this.#seenBytes = req.socket.bytesRead;
    req.once('end', () => {
      this.#endedAtMs = clock.ticks();
    });
  }

  /**
   * What is left of `timeoutMs` since the content ended; all of it while content has come since the last call;
   * 0 or less for a client that has stalled.
   */
  leftMs(timeoutMs: number): number {
    if (this.#endedAtMs !== undefined) return this.#endedAtMs + timeoutMs - this.#clock.ticks();
    // All of it is here but not read yet. What the socket reads from now on belongs to the next request.
    const bytes = this.#req.complete ? Number.POSITIVE_INFINITY : this.#req.socket.bytesRead;
    if (bytes === this.#seenBytes) return 0;
    this.#seenBytes = bytes;
    return timeoutMs;
  }
}
