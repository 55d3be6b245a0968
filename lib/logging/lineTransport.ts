import winston from 'winston';

/** Where a format leaves the finished line. */
export const MESSAGE = Symbol.for('message');

/** How long the line of a request may wait for others. */
const GATHER_MS = 10;
/** So many characters leave at once. */
const GATHER_CHARACTERS = 16 * 1024;

/**
 * Writes many lines in one piece: a write to a pipe costs several times what the rest of a line does. What is logged
 * leaves in the same turn of the event loop, the lines of requests within 10 ms. Nothing is lost when the process
 * exits, by an uncaught error either; SIGKILL takes what has not left.
 */
export class LineTransport extends winston.transports.Stream {
  /** Whether lines are JSON objects, which others may write as well as `format`. */
  readonly takesJson: boolean;
  readonly #stream: NodeJS.WritableStream;
  readonly #flush = () => this.#writePending();
  #pending = '';
  #immediate: NodeJS.Immediate | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(stream: NodeJS.WritableStream, format: winston.Logform.Format, { takesJson = false } = {}) {
    super({ stream, format });
    this.takesJson = takesJson;
    this.#stream = stream;
  }

  override log(info: { readonly [MESSAGE]: string }, next: () => void): void {
    this.append(info[MESSAGE]);
    this.#immediate ??= setImmediate(this.#flush);
    next();
  }

  /** Takes a finished line that can wait a little. */
  append(line: string): void {
    if (this.#pending === '') {
      this.#timer = setTimeout(this.#flush, GATHER_MS).unref();
      process.once('exit', this.#flush);
    }
    this.#pending += `${line}\n`;
    if (this.#pending.length >= GATHER_CHARACTERS) this.#writePending();
  }

  /** Writes what waits for other lines. */
  flush(): void {
    this.#writePending();
  }

  override _final(callback: () => void): void {
    this.#writePending();
    callback();
  }

  #writePending(): void {
    process.off('exit', this.#flush);
    clearImmediate(this.#immediate);
    clearTimeout(this.#timer);
    this.#immediate = undefined;
    const lines = this.#pending;
    this.#pending = '';
    if (lines !== '') this.#stream.write(lines);
  }
}
