import type { IncomingMessage } from 'node:http';
import type { Clock } from '../clock/clock.ts';
import { hasContent } from '../http/content.ts';

/** Tells whether a request's content still flows. It looks when it is asked and does nothing for each chunk. */
export class Upload {
  readonly #req: IncomingMessage;
  readonly #clock: Clock;
  readonly #bytesPerSecond: number;
  /** Since when the content flows too slowly, and how much of it there was then. */
  #markMs: number;
  #markBytes: number;
  #endedAtMs: number | undefined;

  /** `undefined` for a request that has arrived whole: with its head, having no content, or collected before. */
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

  /** Whether the next step is the client's: content is missing, and somebody here is reading it. */
  get awaitsClient(): boolean {
    return !this.#req.complete && this.#req.readableFlowing === true;
  }

  /**
   * How long to wait before the next look: what is left of `timeoutMs` since the content ended; while it arrives, the
   * time in which it must have flowed again, `timeoutMs` at the most. 0 or less: time is over, or it has come too
   * slowly for all of `windowMs`.
   */
  leftMs(timeoutMs: number, windowMs: number): number {
    const nowMs = this.#clock.ticks();
    if (this.#endedAtMs !== undefined) return this.#endedAtMs + timeoutMs - nowMs;
    // All of it is here but not read yet. What the socket reads from now on belongs to the next request.
    const bytes = this.#req.complete ? Number.POSITIVE_INFINITY : this.#req.socket.bytesRead;
    if (bytes > this.#markBytes && bytes - this.#markBytes >= (this.#bytesPerSecond * windowMs) / 1000) {
      this.#markMs = nowMs;
      this.#markBytes = bytes;
    }
    return Math.min(timeoutMs, this.#markMs + windowMs - nowMs);
  }
}
