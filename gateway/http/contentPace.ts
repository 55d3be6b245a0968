import type { ServerResponse } from 'node:http';
import type { Clock } from '../../lib/clock/clock.ts';
import { http } from '../../lib/http/nodeHttp.ts';

/** Pieces of content below this size are counted, since each costs as much as a large one. */
const SMALL_BYTES = 256;
/** How many small pieces a request may bring per second, and how many at once. */
const PER_SECOND = 10_000;
const BURST = 2_000;
/** The rate is checked after so many small pieces. */
const LOOK_EVERY = 250;

/** Stands between Node's parser and the content of one request. */
interface ContentPace {
  /** Whether nothing more is to be read for now. */
  readonly isHeld: boolean;
  push: IncomingMessage['push'];
}

type IncomingMessage = InstanceType<typeof http.IncomingMessage>;

/** What a server must make its requests of, for `paceContent`. */
export class PacedRequest extends http.IncomingMessage {
  #pace: ContentPace | undefined;

  /** To be called once, before anything is read. */
  setPace(pace: ContentPace): void {
    this.#pace = pace;
  }

  override _read(size: number): void {
    if (!this.#pace?.isHeld) super._read(size);
  }

  override push(chunk: Buffer | null, encoding?: BufferEncoding): boolean {
    return this.#pace ? this.#pace.push(chunk, encoding) : super.push(chunk, encoding);
  }

  /** Goes on to read where a pace has held it. */
  readOn(): void {
    super._read(0);
  }

  /** Content that the pace lets through. */
  pushOn(chunk: Buffer | null, encoding?: BufferEncoding): boolean {
    return super.push(chunk, encoding);
  }
}

/**
 * Lets a request bring 10,000 small pieces of content (of 1 to 255 bytes) per second, and stops reading its connection while
 * it has brought more. Small pieces that Node's parser finds in one read are joined. Otherwise a client that sends chunks of
 * one byte could use up the CPU time of everybody: 64 KiB of them, passed on one by one, take as long as a thousand requests.
 *
 * It stands between Node's parser and the reader of the content, and delays a piece at most until the end of the turn of the
 * event loop. Content that nobody reads passes through here as well, since Node itself would drop it without being counted.
 */
export function paceContent(req: PacedRequest, res: ServerResponse, clock: Clock): void {
  const push = joinPieces(req);
  const pace = new Pace(clock, () => {
    if (!req.complete && !req.destroyed) req.readOn();
  });
  // Added before Node's own listener, which drops content that nobody has begun to read.
  res.prependListener('finish', () => {
    if (!req.complete) req.resume();
  });
  req.setPace({
    get isHeld() {
      return pace.isHeld;
    },
    push(chunk, encoding) {
      const takesMore = push(chunk, encoding);
      if (chunk === null || chunk.length >= SMALL_BYTES) return takesMore;
      pace.count();
      // When this returns false, Node stops reading the connection until `_read` is called.
      return takesMore && !pace.isHeld;
    },
  });
}

/** Measures the rate of small pieces: a leaky bucket that lets 10,000 of them through per second. */
class Pace {
  readonly #clock: Clock;
  readonly #onGoOn: () => void;
  #unseen = 0;
  #level = 0;
  #atMs: number;
  #isHeld = false;

  constructor(clock: Clock, onGoOn: () => void) {
    this.#clock = clock;
    this.#onGoOn = onGoOn;
    this.#atMs = clock.ticks();
  }

  /** Whether the connection must not be read for now. */
  get isHeld(): boolean {
    return this.#isHeld;
  }

  count(): void {
    this.#unseen += 1;
    if (this.#unseen < LOOK_EVERY) return;
    this.#sink();
    this.#level += this.#unseen;
    this.#unseen = 0;
    if (this.#isHeld || this.#level <= BURST) return;
    this.#isHeld = true;
    this.#goOnLater();
  }

  #sink(): void {
    const nowMs = this.#clock.ticks();
    this.#level = Math.max(0, this.#level - ((nowMs - this.#atMs) * PER_SECOND) / 1000);
    this.#atMs = nowMs;
  }

  #goOnLater(): void {
    this.#clock.after(Math.ceil((this.#level * 1000) / PER_SECOND), () => {
      this.#sink();
      if (this.#level > BURST) return this.#goOnLater();
      this.#isHeld = false;
      this.#onGoOn();
    });
  }
}

/** `req.pushOn`, but all small pieces of a turn of the event loop, except the first, are pushed as one. */
function joinPieces(req: PacedRequest): IncomingMessage['push'] {
  let pieces: Buffer[] = [];
  let joins = false;

  function flush(): boolean {
    if (pieces.length === 0) return true;
    const joined = Buffer.concat(pieces);
    pieces = [];
    return req.pushOn(joined);
  }

  function endTurn(): void {
    joins = false;
    if (!req.destroyed) flush();
  }

  return (chunk: Buffer | null, encoding) => {
    if (chunk !== null && chunk.length < SMALL_BYTES) {
      if (joins) return pieces.push(chunk) > 0;
      joins = true;
      setImmediate(endTurn);
    } else {
      flush();
    }
    return req.pushOn(chunk, encoding);
  };
}
