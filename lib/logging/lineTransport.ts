import winston from 'winston';
import { withoutKeys } from '../apikeys/keyText.ts';

/** The property in which a format stores the finished line. */
export const MESSAGE = Symbol.for('message');

/** How long the line of a request may wait for more lines. */
const GATHER_MS = 10;
/** With this many characters waiting, lines are written at once. */
const GATHER_CHARACTERS = 16 * 1024;

/**
 * Writes many lines at once, because a write to a pipe costs several times as much as the rest of a line. Log lines are written
 * in the same turn of the event loop, lines of requests within 10 ms. Nothing is lost when the process exits, even after an
 * uncaught error. Only SIGKILL loses lines that wait.
 */
export class LineTransport extends winston.transports.Stream {
  /** Whether lines are JSON objects, so that `requestLines` may write them without `format`. */
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

  /** Writes a finished line, which may wait for others. */
  append(line: string): void {
    if (this.#pending === '') {
      this.#timer = setTimeout(this.#flush, GATHER_MS).unref();
      process.once('exit', this.#flush);
    }
    // Of an API key that somebody has put anywhere, where nobody expects one, no line shows more than the id.
    this.#pending += `${withoutKeys(line)}\n`;
    if (this.#pending.length >= GATHER_CHARACTERS) this.#writePending();
  }

  /** Writes the lines that wait for others. */
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
