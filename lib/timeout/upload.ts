import type { IncomingMessage } from 'node:http';
import type { Clock } from '../clock/clock.ts';
import { hasContent } from '../http/content.ts';

/** Tells whether a request's content still arrives. It looks only when it is asked: chunks cost nothing. */
export class Upload {
  readonly #req: IncomingMessage;
  readonly #clock: Clock;
  readonly #bytesPerSecond: number;
  /** When the content last arrived fast enough, and how many bytes had been read by then. */
  #markMs: number;
  #markBytes: number;
  #endedAtMs: number | undefined;

  /** Undefined for a request that has already arrived whole: one without content, or whose content was read before. */
  static of(req: IncomingMessage, bytesPerSecond: number, clock: Clock): Upload | undefined {
    return hasContent(req) && !req.readableEnded ? new Upload(req, bytesPerSecond, clock) : undefined;
  }

  private constructor(req: IncomingMessage, bytesPerSecond: number, clock: Clock) {
    this.#req = req;
    this.#clock = clock;
    this.#bytesPerSecond = bytesPerSecond;
    this.#markMs = clock.ticks();
    this.#markBytes = req.socket.bytesRead;
    req.once('end', () => {
      this.#endedAtMs = clock.ticks();
    });
  }

  /** Whether the gateway waits for the client: content is missing, and it is being read. */
  get awaitsClient(): boolean {
    return !this.#req.complete && this.#req.readableFlowing === true;
  }

  /**
   * How long to wait before the next check, in milliseconds. After the content has ended it is what is left of `timeoutMs`.
   * While content arrives it is the time by which more must have come, `timeoutMs` at most. 0 or less: the time is over, or
   * the content has arrived too slowly for all of `windowMs`.
   */
  leftMs(timeoutMs: number, windowMs: number): number {
    const nowMs = this.#clock.ticks();
    if (this.#endedAtMs !== undefined) return this.#endedAtMs + timeoutMs - nowMs;
    // All content has arrived. What the socket reads from now on belongs to the next request, so it must not be
    // counted.
    const bytes = this.#req.complete ? Number.POSITIVE_INFINITY : this.#req.socket.bytesRead;
    if (bytes > this.#markBytes && bytes - this.#markBytes >= (this.#bytesPerSecond * windowMs) / 1000) {
      this.#markMs = nowMs;
      this.#markBytes = bytes;
    }
    return Math.min(timeoutMs, this.#markMs + windowMs - nowMs);
  }
}
