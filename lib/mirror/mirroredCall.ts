import { Readable } from 'node:stream';
import type { Cancel, Clock } from '../clock/clock.ts';
import type { FieldLines } from '../http/fields.ts';
import type { Controller, Handler } from '../http1/handler.ts';

/** Lowest status that says that the service failed. */
const SERVER_ERROR = 500;

/**
 * What became of a copy that was sent. `error`: the response was a 5xx. `cut`: it was too long to be read to its end.
 * `failed`: there was none, or it broke off.
 */
export type Sent = 'completed' | 'error' | 'cut' | 'timeout' | 'failed';

export interface MirroredCallOptions {
  /** Longest time until the response is complete, in milliseconds, 1..2147483647. */
  readonly timeoutMs: number;
  /** How much of a response is read at most, in bytes. */
  readonly maxResponseBytes: number;
  readonly clock: Clock;
  /** Called once, when nothing more of the call is under way. */
  readonly onOver: (sent: Sent, error: Error | undefined) => void;
}

/** Ends a copy whose response takes too long, or is too long. Nobody gets it. */
class MirrorEndedError extends Error {
  override readonly name = 'MirrorEndedError';
}

/** One copy of a request on its way to a replica. What comes back is read and dropped, within bounds; nothing is sent twice. */
export class MirroredCall implements Handler {
  readonly #options: MirroredCallOptions;
  readonly #cancelTimeout: Cancel;
  #controller: Controller | undefined;
  #status = 0;
  #bytes = 0;
  /** Why it was ended from here. */
  #ended: 'timeout' | 'cut' | undefined;

  constructor(options: Readonly<MirroredCallOptions>) {
    this.#options = options;
    const { clock, timeoutMs } = options;
    this.#cancelTimeout = clock.after(timeoutMs, () => this.#end('timeout', `no end within ${timeoutMs} ms`));
  }

  onRequestStart(controller: Controller): void {
    this.#controller = controller;
    if (this.#ended) controller.abort(new MirrorEndedError(this.#ended));
  }

  onResponseStart(_controller: Controller, status: number): void {
    this.#status = status;
  }

  onResponseData(_controller: Controller, chunk: Buffer): void {
    const { maxResponseBytes } = this.#options;
    this.#bytes += chunk.length;
    if (this.#bytes > maxResponseBytes) this.#end('cut', `more than ${maxResponseBytes} bytes of content`);
  }

  onResponsePause(): void {}

  onResponseEnd(): void {
    this.#over(this.#status >= SERVER_ERROR ? 'error' : 'completed', undefined);
  }

  onResponseError(_controller: Controller | undefined, error: Error): void {
    this.#over(this.#ended ?? 'failed', error);
  }

  /** While it still connects there is nothing to abort; it is not sent then. */
  #end(why: 'timeout' | 'cut', message: string): void {
    if (this.#ended) return;
    this.#ended = why;
    this.#controller?.abort(new MirrorEndedError(message));
  }

  #over(sent: Sent, error: Error | undefined): void {
    this.#cancelTimeout();
    this.#options.onOver(sent, error);
  }
}

/** Content that is in memory as a whole, as a stream. */
export class KnownContent extends Readable {
  readonly #content: Buffer;
  readonly rawTrailers: FieldLines = [];

  constructor(content: Buffer) {
    super();
    this.#content = content;
    // Who sends it stops listening at its end. An error after that must not end the process.
    this.on('error', () => {});
  }

  override _read(): void {
    this.push(this.#content);
    this.push(null);
  }
}
