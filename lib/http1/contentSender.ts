import type { Socket } from 'node:net';
import { RequestContentError } from './errors.ts';
import { isFieldValue, isToken } from './grammar.ts';
import type { RequestContent } from './handler.ts';
import type { RequestHead } from './requestHead.ts';

/** Content up to this size is sent as one string, in one piece with the bytes around it. */
const MAX_STRING_BYTES = 8 * 1024;

export interface ContentSenderOptions {
  readonly socket: Socket;
  readonly head: RequestHead;
  readonly content: RequestContent;
  /** Called at most once, when the content cannot be sent completely. */
  readonly onError: (error: Error) => void;
}

/**
 * Sends a head and its content, with back-pressure from the connection. The head waits for the first piece of content, to be
 * sent in the same packet.
 */
export class ContentSender {
  readonly #options: ContentSenderOptions;
  readonly #lengthBytes: number | undefined;
  /** The head, until it is sent. */
  #unsent: string;
  #sentBytes = 0;
  #ended = false;
  #stopped = false;

  constructor(options: ContentSenderOptions) {
    const { head, content } = options;
    this.#options = options;
    this.#lengthBytes = head.lengthBytes;
    this.#unsent = head.text;
    content.on('data', this.#onData).on('end', this.#onEnd).on('error', this.#onError);
    content.on('close', this.#onClose);
    // A stream announces its end once, which may have happened already.
    if (content.destroyed || content.readableEnded) process.nextTick(this.#onClose);
  }

  /** Whether the whole request was sent. */
  get whole(): boolean {
    return this.#ended || (this.#unsent === '' && this.#sentBytes === this.#lengthBytes);
  }

  /** The connection can be written to again. */
  drain(): void {
    if (!this.#ended) this.#options.content.resume();
  }

  /** Stops sending. The rest of the content is destroyed, because nobody else will read it. */
  stop(): void {
    const { content } = this.#options;
    this.#stopped = true;
    content.off('data', this.#onData).off('end', this.#onEnd).off('close', this.#onClose);
    content.off('error', this.#onError);
    if (this.#ended) return;
    // Later errors of the stream must not end the process.
    content.on('error', () => {});
    if (!this.whole) content.destroy();
  }

  readonly #onData = (chunk: Buffer): void => {
    if (chunk.length === 0) return;
    this.#sentBytes += chunk.length;
    if (this.#sentBytes > (this.#lengthBytes ?? Number.POSITIVE_INFINITY)) {
      this.#fail(`it has more than the ${this.#lengthBytes} bytes of its Content-Length`);
    } else if (!this.#send(chunk)) {
      this.#options.content.pause();
    }
  };

  readonly #onEnd = (): void => {
    const { socket, content } = this.#options;
    if (this.#lengthBytes !== undefined && this.#sentBytes < this.#lengthBytes) {
      this.#fail(`it has ${this.#sentBytes} of the ${this.#lengthBytes} bytes of its Content-Length`);
      return;
    }
    this.#ended = true;
    if (this.#unsent !== '') socket.write(this.#takeHead('Content-Length: 0\r\n'), 'latin1');
    else if (this.#lengthBytes === undefined) socket.write(`0\r\n${trailerLines(content)}\r\n`, 'latin1');
  };

  readonly #onError = (error: Error): void => this.#options.onError(error);

  readonly #onClose = (): void => {
    if (!this.#ended && !this.#stopped) this.#fail('it was closed before its end');
  };

  /** Returns whether more may be written. */
  #send(chunk: Buffer): boolean {
    const isChunked = this.#lengthBytes === undefined;
    const head = this.#unsent === '' ? '' : this.#takeHead('Transfer-Encoding: chunked\r\n');
    const before = isChunked ? `${head}${chunk.length.toString(16)}\r\n` : head;
    return this.#write(before, chunk, isChunked ? '\r\n' : '');
  }

  #write(before: string, chunk: Buffer, behind: string): boolean {
    const { socket } = this.#options;
    if (before === '') return socket.write(chunk);
    if (chunk.length <= MAX_STRING_BYTES)
      return socket.write(before + chunk.toString('latin1') + behind, 'latin1');
    socket.cork();
    socket.write(before, 'latin1');
    socket.write(chunk);
    const takesMore = behind === '' || socket.write(behind, 'latin1');
    socket.uncork();
    return takesMore && !socket.writableNeedDrain;
  }

  /** The complete head. `framing` is the line for content whose length the fields do not state. */
  #takeHead(framing: string): string {
    const text = this.#unsent + (this.#lengthBytes === undefined ? framing : '');
    this.#unsent = '';
    return `${text}\r\n`;
  }

  #fail(what: string): void {
    this.#options.onError(new RequestContentError(`the request's content is broken: ${what}`));
  }
}

/** Invalid field lines of the trailer section are left out: it is too late to refuse the request. */
function trailerLines(content: RequestContent): string {
  const fields = content.rawTrailers ?? [];
  let lines = '';
  for (let i = 0; i < fields.length; i += 2) {
    const [name = '', value = ''] = fields.slice(i, i + 2);
    if (isToken(name) && isFieldValue(value)) lines += `${name}: ${value}\r\n`;
  }
  return lines;
}
