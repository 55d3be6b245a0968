import type { LookupFunction, Socket } from 'node:net';
import type { Call, Carrier } from './call.ts';
import { ContentSender } from './contentSender.ts';
import { ConnectionLostError, ConnectTimeoutError, NotConnectedError } from './errors.ts';
import type { FieldLines } from './handler.ts';
import { connect, type Origin } from './origin.ts';
import type { ResponseHead } from './reading/responseHead.ts';
import { type ResponseListener, ResponseReader } from './reading/responseReader.ts';

/** Ends something that was begun. */
export type Cancel = () => void;

/** Where time comes from. */
export interface Clock {
  /** Milliseconds since some fixed moment. */
  ticks(): number;
  /** Runs `callback` once, `delayMs` from now. Must not keep the process alive. */
  after(delayMs: number, callback: () => void): Cancel;
}

export interface ConnectionOptions {
  readonly origin: Origin;
  readonly clock: Clock;
  readonly connectTimeoutMs: number;
  /** Resolves the origin's name. Default: the system. */
  readonly lookup?: LookupFunction | undefined;
  /** Names and values of a response's head together must stay below. */
  readonly maxHeadBytes: number;
  /** What arrives is read into it; may be shared by any number of connections. */
  readonly readBuffer: Buffer;
  /** Called after each answer that leaves the connection usable. */
  readonly onFree: (connection: Connection) => void;
  /** Called once, at the end. */
  readonly onClosed: (connection: Connection) => void;
}

/** One connection to an origin. It carries one request at a time, and ends at the first doubt about where one ends. */
export class Connection implements ResponseListener, Carrier {
  readonly #options: ConnectionOptions;
  readonly #socket: Socket;
  readonly #reader: ResponseReader;
  readonly #cancelTimeout: Cancel;
  #call: Call | undefined;
  #sender: ContentSender | undefined;
  #connected = false;
  /** Whether it has carried a whole answer. */
  #kept = false;
  #keepsAlive = false;
  #paused = false;
  /** Whether nothing more is read of it, and it is about to be cut. */
  #broken = false;
  #cut = false;
  /** When it was begun, by the clock's `ticks`. */
  readonly openedAtMs: number;
  /** How long the origin keeps it when idle, by its latest answer. */
  keepAliveMs: number | undefined;

  /** Connects, and sends `call` first. */
  constructor(options: ConnectionOptions, call: Call) {
    const { origin, clock, connectTimeoutMs, maxHeadBytes, readBuffer, lookup } = options;
    this.#options = options;
    this.openedAtMs = clock.ticks();
    this.#reader = new ResponseReader(this, maxHeadBytes);
    this.#call = call;
    this.#socket = connect(origin, { buffer: readBuffer, callback: this.#onRead }, lookup);
    this.#socket
      .on(origin.isTls ? 'secureConnect' : 'connect', this.#onConnect)
      .on('drain', () => this.#sender?.drain())
      .on('end', this.#onEnd)
      .on('error', this.#onError)
      .on('close', this.#onClose);
    this.#cancelTimeout = clock.after(connectTimeoutMs, () => {
      this.cut(new ConnectTimeoutError(origin.host, connectTimeoutMs));
    });
  }

  /** Whether it is or may become fit to carry a request. */
  get open(): boolean {
    return !this.#cut;
  }

  /** Sends a request. The connection must be open and idle. */
  carry(call: Call): void {
    this.#call = call;
    this.#keepsAlive = true;
    try {
      call.start(this);
    } catch (error) {
      this.cut(error as Error);
    }
    if (this.#call !== call) return;
    const { request, head } = call;
    this.#reader.expect(request.method);
    if (!request.body) {
      this.#socket.write(`${head.text}\r\n`, 'latin1');
      return;
    }
    this.#sender = new ContentSender({
      socket: this.#socket,
      head,
      content: request.body,
      onError: (error) => this.cut(error),
    });
  }

  pause(): void {
    this.#paused = true;
    this.#socket.pause();
  }

  resume(): void {
    this.#paused = false;
    this.#socket.resume();
  }

  /** Ends it at once. A request that it carries fails with `reason`. */
  cut(reason: Error): void {
    if (this.#cut) return;
    this.#cut = true;
    this.#cancelTimeout();
    this.#socket.destroy();
    this.#sender?.stop();
    const call = this.#call;
    this.#call = undefined;
    call?.fail(reason);
  }

  /** Ends it when it is idle. */
  close(): void {
    this.#cut = true;
    this.#socket.destroy();
  }

  onHead(head: ResponseHead): void {
    const call = this.#call;
    if (!call) return;
    // An interim answer may say so, too.
    this.#keepsAlive &&= head.keepsAlive;
    this.keepAliveMs = head.keepAliveMs;
    call.rawHeaders = head.fields;
    call.handler.onResponseStart(call, head.status, head.fields, head.reason);
  }

  onContent(chunk: Buffer): void {
    const call = this.#call;
    call?.handler.onResponseData(call, chunk);
  }

  onEnd(trailers: FieldLines): void {
    const call = this.#call;
    this.#call = undefined;
    call?.end(trailers);
  }

  readonly #onConnect = (): void => {
    this.#cancelTimeout();
    this.#connected = true;
    const call = this.#call;
    if (call) this.carry(call);
  };

  readonly #onRead = (bytes: number, buffer: Uint8Array): boolean => {
    if (this.#cut || this.#broken) return true;
    let end = 0;
    try {
      if (this.#call) end = this.#reader.read((buffer as Buffer).subarray(0, bytes));
    } catch (error) {
      this.#breakOff(error as Error);
    }
    try {
      const call = this.#call;
      if (call) call.handler.onResponsePause(call);
      else this.#afterAnswer(end === bytes);
    } catch (error) {
      this.#breakOff(error as Error);
    }
    return true;
  };

  /** What the handler has written in this turn leaves before the answer breaks off. */
  #breakOff(error: Error): void {
    if (this.#broken) return;
    this.#broken = true;
    setImmediate(() => this.cut(error));
  }

  /** Bytes behind an answer belong to none: whatever they are, no request may get them for its answer. */
  #afterAnswer(isExact: boolean): void {
    if (this.#cut) return;
    const sender = this.#sender;
    const isUsable = isExact && this.#keepsAlive && (!sender || sender.whole);
    this.#sender = undefined;
    sender?.stop();
    if (!isUsable) {
      this.close();
      return;
    }
    this.#kept = true;
    // A handler may have paused it in the end.
    if (this.#paused) this.resume();
    this.#options.onFree(this);
  }

  readonly #onEnd = (): void => {
    if (this.#cut || this.#broken) return;
    try {
      if (this.#call && this.#reader.close()) this.#afterAnswer(false);
      else this.cut(new ConnectionLostError(this.#kept));
    } catch (error) {
      this.cut(error as Error);
    }
  };

  readonly #onError = (error: Error): void => {
    if (this.#broken) return;
    this.cut(
      this.#connected ? new ConnectionLostError(this.#kept, error) : new NotConnectedError(firstOf(error)),
    );
  };

  readonly #onClose = (): void => {
    this.cut(new ConnectionLostError(this.#kept));
    this.#options.onClosed(this);
  };
}

/** Node tries every address of a name, and sums up in an error that says nothing. */
function firstOf(error: Error): Error {
  return error instanceof AggregateError ? (error.errors[0] ?? error) : error;
}
