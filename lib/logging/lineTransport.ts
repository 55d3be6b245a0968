import winston from 'winston';

/** Where a format leaves the finished line. */
export const MESSAGE = Symbol.for('message');

/**
 * Writes the lines of one turn of the event loop in one piece: a write to a pipe costs several times what the rest of
 * a line does. Nothing is lost when the process exits, by an uncaught error either; SIGKILL takes the turn's lines.
 */
export class LineTransport extends winston.transports.Stream {
  readonly #stream: NodeJS.WritableStream;
  readonly #flush = () => this.#writePending();
  #pending = '';

  constructor(stream: NodeJS.WritableStream, format: winston.Logform.Format) {
    super({ stream, format });
    this.#stream = stream;
  }

  override log(info: { readonly [MESSAGE]: string }, next: () => void): void {
    if (this.#pending === '') {
      setImmediate(this.#flush);
      process.once('exit', this.#flush);
    }
    this.#pending += `${info[MESSAGE]}\n`;
    next();
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
