import winston from 'winston';

/** Where a format leaves the finished line. */
export const MESSAGE = Symbol.for('message');

/**
 * Writes the lines of one turn of the event loop in one piece: a write to a pipe costs several times what the rest of
 * a line does. Nothing is lost when the process exits, by an uncaught error either; SIGKILL takes the turn's lines.
 */
export class LineTransport extends winston.transports.Stream {
  /** Whether lines are JSON objects, which others may write as well as `format`. */
  readonly takesJson: boolean;
  readonly #stream: NodeJS.WritableStream;
  readonly #flush = () => this.#writePending();
  #pending = '';

  constructor(stream: NodeJS.WritableStream, format: winston.Logform.Format, { takesJson = false } = {}) {
    super({ stream, format });
    this.takesJson = takesJson;
    this.#stream = stream;
  }

  override log(info: { readonly [MESSAGE]: string }, next: () => void): void {
    this.append(info[MESSAGE]);
    next();
  }

  /** Takes a finished line. */
  append(line: string): void {
    if (this.#pending === '') {
      setImmediate(this.#flush);
      process.once('exit', this.#flush);
    }
    this.#pending += `${line}\n`;
  }

  override _final(callback: () => void): void {
    this.#writePending();
    callback();
  }

  #writePending(): void {
    process.off('exit', this.#flush);
    const lines = this.#pending;
    this.#pending = '';
    if (lines !== '') this.#stream.write(lines);
  }
}
