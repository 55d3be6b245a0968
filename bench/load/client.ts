import { connect, type Socket } from 'node:net';

const READ_BYTES = 256 * 1024;
const END_OF_HEAD = '\r\n\r\n';
const CONTENT_LENGTH = /\r\ncontent-length: *(\d+)\r\n/i;

/** Of one answer; NaN: none came, or one that cannot be understood. */
export type OnAnswer = (status: number) => void;

/** One connection of a client that reads whole answers and looks at their status only. */
export class Client {
  readonly #socket: Socket;
  readonly opened: Promise<void>;
  #onAnswer: OnAnswer | undefined;
  /** What has come of a head that is not complete yet. */
  #head = '';
  #status = Number.NaN;
  /** Content that is still to come. */
  #missing = 0;

  /** @param shared what is read goes through it: clients of one process can share one */
  constructor(port: number, host: string, shared: Buffer) {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.opened = promise;
    const callback = (length: number, chunk: Uint8Array) => this.#read(chunk as Buffer, length);
    this.#socket = connect({ port, host, noDelay: true, onread: { buffer: shared, callback } }, resolve)
      .on('error', reject)
      .on('close', () => this.#answered(Number.NaN));
    promise.catch(() => {});
  }

  static buffer(): Buffer {
    return Buffer.allocUnsafeSlow(READ_BYTES);
  }

  /** Sends a request and tells of its answer once that has come whole. One at a time. */
  ask(head: string, body: Buffer | undefined, onAnswer: OnAnswer): void {
    this.#onAnswer = onAnswer;
    if (this.#socket.closed) {
      this.#answered(Number.NaN);
    } else if (body) {
      this.#socket.cork();
      this.#socket.write(head, 'latin1');
      this.#socket.write(body);
      this.#socket.uncork();
    } else {
      this.#socket.write(head, 'latin1');
    }
  }

  close(): void {
    this.#socket.destroy();
  }

  #read(chunk: Buffer, length: number): true {
    if (this.#missing > 0) this.#missing -= length;
    else this.#readHead(chunk.toString('latin1', 0, length));
    if (this.#missing === 0 && this.#head === '') this.#answered(this.#status);
    return true;
  }

  #readHead(text: string): void {
    this.#head += text;
    const end = this.#head.indexOf(END_OF_HEAD);
    if (end < 0) return;
    const length = CONTENT_LENGTH.exec(this.#head.slice(0, end + 2))?.[1];
    // An answer of unknown length is none that can be measured.
    this.#status = length === undefined ? Number.NaN : Number(this.#head.slice(9, 12));
    this.#missing = Number(length ?? 0) - (this.#head.length - end - END_OF_HEAD.length);
    this.#head = '';
  }

  #answered(status: number): void {
    const onAnswer = this.#onAnswer;
    this.#onAnswer = undefined;
    onAnswer?.(status);
  }
}
