import type { Readable } from 'node:stream';
import type { FieldLines } from '../http/fields.ts';

/** Content on its way to the origin. */
export interface RequestContent extends Readable {
  /** The trailer section, read when the content has ended. It is sent only with chunked content. */
  readonly rawTrailers?: FieldLines;
}

export interface Request {
  readonly method: string;
  /** The request target: a path with its query, or `*`. */
  readonly path: string;
  /** Without connection fields, which this client sets itself. `Host` is the origin's by default. */
  readonly headers?: FieldLines;
  /**
   * Framed by the `Content-Length` in the fields, or by chunks when there is none. Before the request starts nothing of it is
   * read, and its errors are not noticed. Default: no content.
   */
  readonly body?: RequestContent | null;
}

/** One request under way. */
export interface Controller {
  /** The fields of the latest head. */
  readonly rawHeaders: FieldLines;
  /** The trailer section, once the response is complete. */
  readonly rawTrailers: FieldLines;
  readonly paused: boolean;
  readonly aborted: boolean;
  /** Stops reading the response. Data that was read already is still passed on. */
  pause(): void;
  resume(): void;
  /** Ends the request and its connection; the handler gets an error. Does nothing once the request is over. */
  abort(reason: Error): void;
}

/**
 * Is called with the events of a request, in this order. The last call is either `onResponseEnd` or `onResponseError`. An
 * error that a method throws ends the request.
 */
export interface Handler {
  /** The request is about to be written to a connection. If it is aborted here, it is not sent. */
  onRequestStart(controller: Controller): void;
  /** Also called for interim responses, whose status is below 200. */
  onResponseStart(controller: Controller, status: number, fields: FieldLines, reason: string): void;
  /** The handler may keep `chunk`. */
  onResponseData(controller: Controller, chunk: Buffer): void;
  /** Everything that has arrived was passed on, and the response is not complete: more may take a while. */
  onResponsePause(controller: Controller): void;
  onResponseEnd(controller: Controller): void;
  /** `controller` is undefined when the request could not be made. */
  onResponseError(controller: Controller | undefined, error: Error): void;
}
