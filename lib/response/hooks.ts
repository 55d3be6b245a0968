import type { ServerResponse } from 'node:http';
import type { FieldLines } from '../http/fields.ts';

/** Makes a field's value when the head of `res` is written. Undefined: the response gets no such field. */
export type MakeValue = (status: number, res: ServerResponse) => string | undefined;

/** Changes the fields of a response when nothing else is added to them any more. It is the same for all responses of a route. */
export interface HeadEdit {
  /**
   * @param lines name, value, name, value: its own to change, added fields among them
   * @returns the lines to send, which may be the same list
   */
  edit(lines: string[], status: number, res: ServerResponse): string[];
  /** Whether a field of this name must not pass in interim responses and trailer sections, which are not edited. */
  drops(lowerCaseName: string): boolean;
}

/** Sees the head of a response that has just been sent, as whoever wrote it has given it: without added fields. */
export interface HeadObserver {
  head(status: number, fields: FieldLines): void;
}

/** Sees a response on its way, without delaying or changing it. */
export interface ResponseObserver extends HeadObserver {
  /** Called with each piece of content that has bytes. */
  content(chunk: Buffer): void;
  /** The response was given whole. Not called for one that breaks off. */
  end(): void;
}

/**
 * Keeps content from the client until it has decided. What it has kept it gives back with the writer's `release` and
 * `finish`.
 */
export interface ContentGate {
  /** Whether it keeps this piece; otherwise the piece goes on at once. */
  keeps(chunk: Buffer): boolean;
  /** Whether it keeps the end, with the last content; `whenDone` is for `finish`. */
  keepsEnd(last: Buffer | undefined, whenDone: (() => void) | undefined): boolean;
}

/**
 * Puts content into another form on its way to the client, such as a content coding. It stands behind the gate and in front of
 * Node's response, and gives what it makes to the writer's `put` and `close`. It is chosen with the head, which must fit: a
 * `HeadEdit` gives it to the writer's `transform`.
 */
export interface ContentTransform {
  /** Takes a piece of content. False: no more should follow before a drain listener is called. */
  content(chunk: Buffer): boolean;
  /** Takes the end, once. The response ends when everything has been put out; `whenDone` is for `close`. */
  end(last: Buffer | undefined, whenDone: (() => void) | undefined): void;
  /** Whether a field of the trailer section is about the content as it was, so that it must not pass. */
  dropsTrailer(lowerCaseName: string): boolean;
}
