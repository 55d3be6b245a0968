import type { FieldLines } from '../http/fields.ts';
import type { Controller, Handler, Request } from './handler.ts';
import type { RequestHead } from './requestHead.ts';

const NO_FIELDS: FieldLines = [];

/** The part of a connection that a call uses. */
export interface Carrier {
  pause(): void;
  resume(): void;
  cut(reason: Error): void;
}

/** One request under way, which is its handler's controller as well. */
export class Call implements Controller {
  readonly request: Request;
  readonly head: RequestHead;
  readonly handler: Handler;
  rawHeaders: FieldLines = NO_FIELDS;
  rawTrailers: FieldLines = NO_FIELDS;
  paused = false;
  aborted = false;
  #carrier: Carrier | undefined;

  constructor(request: Request, head: RequestHead, handler: Handler) {
    this.request = request;
    this.head = head;
    this.handler = handler;
  }

  /** Tells the handler that `carrier` is about to send the request. */
  start(carrier: Carrier): void {
    this.#carrier = carrier;
    this.handler.onRequestStart(this);
  }

  pause(): void {
    this.paused = true;
    this.#carrier?.pause();
  }

  resume(): void {
    this.paused = false;
    this.#carrier?.resume();
  }

  abort(reason: Error): void {
    if (!this.#carrier) return;
    this.aborted = true;
    this.#carrier.cut(reason);
  }

  /** The response is complete. From here on the connection may serve another request. */
  end(trailers: FieldLines): void {
    this.#carrier = undefined;
    this.rawTrailers = trailers;
    try {
      this.handler.onResponseEnd(this);
    } catch (error) {
      this.fail(error as Error);
    }
  }

  fail(error: Error): void {
    this.#carrier = undefined;
    this.handler.onResponseError(this, error);
  }
}
