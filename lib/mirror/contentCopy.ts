import type { ContentObserver } from '../exchange/exchange.ts';
import type { HeldBytes } from './mirrorRoom.ts';

/** The first buffer of content whose length is not known. */
const FIRST_BYTES = 4 * 1024;

/** Why there is no copy of a request's content. `abandoned`: the content was not read to its end. */
export type NoCopy = 'too_large' | 'busy' | 'abandoned';

export interface ContentCopyOptions {
  /** Larger content is not copied. */
  readonly maxBytes: number;
  /** By `Content-Length`; undefined: it comes in chunks. */
  readonly lengthBytes: number | undefined;
  readonly held: HeldBytes;
  /** Called at most once, with all content. Whoever gets it gives its length back to `held` when it is needed no longer. */
  readonly onWhole: (content: Buffer) => void;
  /** Called at most once, in place of `onWhole`. */
  readonly onNone: (why: NoCopy) => void;
}

/**
 * A copy of a request's content, made while it is read for the service. It takes what it holds from `held`, and is given up where
 * that or `maxBytes` does not suffice: the request itself never waits for it. Content in tiny chunks takes no more than its bytes.
 */
export class ContentCopy implements ContentObserver {
  readonly #options: ContentCopyOptions;
  #buffer = Buffer.alloc(0);
  #bytes = 0;
  #over = false;

  constructor(options: Readonly<ContentCopyOptions>) {
    this.#options = options;
  }

  content(chunk: Buffer): void {
    if (this.#over) return;
    const bytes = this.#bytes + chunk.length;
    if (bytes > this.#options.maxBytes) this.giveUp('too_large');
    else if (!this.#hasRoomFor(bytes)) this.giveUp('busy');
    else {
      chunk.copy(this.#buffer, this.#bytes);
      this.#bytes = bytes;
    }
  }

  end(): void {
    if (this.#over) return;
    this.#over = true;
    const { held, onWhole } = this.#options;
    held.giveBack(this.#buffer.length - this.#bytes);
    onWhole(this.#buffer.subarray(0, this.#bytes));
  }

  /** Does nothing once the copy is whole, or was given up. */
  giveUp(why: NoCopy): void {
    if (this.#over) return;
    this.#over = true;
    this.#options.held.giveBack(this.#buffer.length);
    this.#buffer = Buffer.alloc(0);
    this.#options.onNone(why);
  }

  #hasRoomFor(bytes: number): boolean {
    const { length } = this.#buffer;
    if (bytes <= length) return true;
    const { maxBytes, lengthBytes = Math.max(FIRST_BYTES, 2 * length), held } = this.#options;
    const wanted = Math.max(bytes, Math.min(lengthBytes, maxBytes));
    if (!held.take(wanted - length)) return false;
    const larger = Buffer.allocUnsafeSlow(wanted);
    this.#buffer.copy(larger);
    this.#buffer = larger;
    return true;
  }
}
