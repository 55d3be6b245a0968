import type { Readable } from 'node:stream';

/** Field lines of a message in order: name, value, name, value. Each character is one byte (latin1). */
export type FieldLines = readonly string[];

/** Content on its way to the origin. */
export interface RequestContent extends Readable {
  /** The trailer section, looked at once the content has ended. It travels behind chunks only. */
  readonly rawTrailers?: FieldLines;
}

export interface Request {
  readonly method: string;
  /** The request target: a path with its query, or `*`. */
  readonly path: string;
  /** Without those that speak of the connection: they are the client's own. `Host` is the origin's by default. */
  readonly headers?: FieldLines;
  /**
   * Framed by the `Content-Length` among the fields, by chunks when there is none. Nothing of it is read, nor are its
   * errors heard, before the request starts. Default: no content.
   */
  readonly body?: RequestContent | null;
}

/** One request under way. */
export interface Controller {
  /** Fields of the latest head. */
  readonly rawHeaders: FieldLines;
  /** The trailer section, once the answer is over. */
  readonly rawTrailers: FieldLines;
  readonly paused: boolean;
  readonly aborted: boolean;
  /** Reads no more of the answer than has been read. What has arrived already is still handed over. */
  pause(): void;
  resume(): void;
  /** Ends the request and its connection; the handler hears of it as an error. Does nothing once it is over. */
  abort(reason: Error): void;
}

/**
 * Is told what becomes of a request, in this order; either `onResponseEnd` or `onResponseError` comes last, once.
 * What it throws ends the request with that error.
 */
export interface Handler {
  /** The request is about to be written to a connection. One that is aborted here is not sent. */
  onRequestStart(controller: Controller): void;
  /** Also called for interim answers, with a status below 200. */
  onResponseStart(controller: Controller, status: number, fields: FieldLines, reason: string): void;
  /** `chunk` is the handler's to keep. */
  onResponseData(controller: Controller, chunk: Buffer): void;
  /** What has arrived of the answer has been told, and it is not over: more may take a while. */
  onResponsePause(controller: Controller): void;
  onResponseEnd(controller: Controller): void;
  /** `controller` is undefined when the request could not be made at all. */
  onResponseError(controller: Controller | undefined, error: Error): void;
}
