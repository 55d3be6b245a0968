import type { LookupFunction, Socket } from 'node:net';
import type { FieldLines } from '../http/fields.ts';
import type { Call, Carrier } from './call.ts';
import { ContentSender } from './contentSender.ts';
import { ConnectionLostError, ConnectTimeoutError, NotConnectedError } from './errors.ts';
import { connect, type Origin, type TlsOptions, type TlsSession } from './origin.ts';
import type { ResponseHead } from './reading/responseHead.ts';
import { type ResponseListener, ResponseReader } from './reading/responseReader.ts';
import { tlsFailed } from './tlsFailure.ts';

/** Cancels something that was begun. */
export type Cancel = () => void;

/** The source of time. */
export interface Clock {
  /** Milliseconds since an arbitrary moment. */
  ticks(): number;
  /** Calls back once, `delayMs` from now. It must not keep the process alive. */
  after(delayMs: number, callback: () => void): Cancel;
}

export interface ConnectionOptions {
  readonly origin: Origin;
  readonly clock: Clock;
  readonly connectTimeoutMs: number;
  /** Resolves the origin's name. Default: the system. */
  readonly lookup?: LookupFunction | undefined;
  /** Of an origin that speaks TLS. */
  readonly tls?: TlsOptions | undefined;
  readonly session?: TlsSession | undefined;
  /** Names and values of a response's head together must be smaller, in bytes. */
  readonly maxHeadBytes: number;
  /** The buffer that sockets are read into. Any number of connections may share it. */
  readonly readBuffer: Buffer;
  /** Called after each response, if the connection can be used again. */
  readonly onFree: (connection: Connection) => void;
  /** Called once, when the connection has ended. */
  readonly onClosed: (connection: Connection) => void;
}

/**
 * One connection to an origin. It serves one request at a time, and is closed as soon as it is in doubt where a message ends.
 */
export class Connection implements ResponseListener, Carrier {
  readonly #options: ConnectionOptions;
  readonly #socket: Socket;
  readonly #reader: ResponseReader;
  readonly #cancelTimeout: Cancel;
  #call: Call | undefined;
  #sender: ContentSender | undefined;
  #connected = false;
  /** Whether a whole response has arrived over it. */
  #kept = false;
  #keepsAlive = false;
  #paused = false;
  /** Whether it is not read any more, and is about to be closed. */
  #broken = false;
  #cut = false;
  /** When it was opened, by the clock's `ticks`. */
  readonly openedAtMs: number;
  /** How long the origin keeps it when idle, according to the latest response. */
  keepAliveMs: number | undefined;

  /** Connects, and then sends `call`. */
  constructor(options: ConnectionOptions, call: Call) {
    const { origin, clock, connectTimeoutMs, maxHeadBytes, readBuffer, lookup, tls, session } = options;
    this.#options = options;
    this.openedAtMs = clock.ticks();
    this.#reader = new ResponseReader(this, maxHeadBytes);
    this.#call = call;
    const onread = { buffer: readBuffer, callback: this.#onRead };
    this.#socket = connect(origin, { onread, lookup, tls, session });
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

  /** Whether it can serve a request, now or once it is open. */
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

  /** Closes it at once. A request under way fails with `reason`. */
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

  /** Closes it when it is idle. */
  close(): void {
    this.#cut = true;
    this.#socket.destroy();
  }

  onHead(head: ResponseHead): void {
    const call = this.#call;
    if (!call) return;
    // An interim response may say `Connection: close` too.
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
      else this.#afterResponse(end === bytes);
    } catch (error) {
      this.#breakOff(error as Error);
    }
    return true;
  };

  /** Closes it after what the handler has written in this turn has been sent, before the response breaks off. */
  #breakOff(error: Error): void {
    if (this.#broken) return;
    this.#broken = true;
    setImmediate(() => this.cut(error));
  }

  /**
   * Bytes after a response belong to no request. No later request may get them as its response, so the connection is
   * closed.
   */
  #afterResponse(isExact: boolean): void {
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
    // A handler may have paused the call at its end.
    if (this.#paused) this.resume();
    this.#options.onFree(this);
  }

  readonly #onEnd = (): void => {
    if (this.#cut || this.#broken) return;
    try {
      if (this.#call && this.#reader.close()) this.#afterResponse(false);
      else this.cut(new ConnectionLostError(this.#kept));
    } catch (error) {
      this.cut(error as Error);
    }
  };

  readonly #onError = (error: Error): void => {
    if (this.#broken) return;
    this.cut(this.#errorOf(error));
  };

  /** A server's alert about our certificate comes after the handshake, in place of the first response (TLS 1.3). */
  #errorOf(error: Error): Error {
    if (this.#kept) return new ConnectionLostError(true, error);
    const first = firstOf(error);
    const failed = tlsFailed(first);
    if (failed) return failed;
    return this.#connected ? new ConnectionLostError(false, error) : new NotConnectedError(first);
  }

  readonly #onClose = (): void => {
    this.cut(new ConnectionLostError(this.#kept));
    this.#options.onClosed(this);
  };
}

/** Node tries every address of a name, and its summarizing error has no message: the first cause has one. */
function firstOf(error: Error): Error {
  return error instanceof AggregateError ? (error.errors[0] ?? error) : error;
}
