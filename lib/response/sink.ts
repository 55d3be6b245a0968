import type { FieldLines } from '../http/fields.ts';

/** The field lines of a trailer section (RFC 9110 section 6.5). */
export type Trailers = readonly (readonly [string, string])[];

/**
 * Where a response is written to: a client's connection (`ResponseWriter`), or the cache that has asked for it
 * (`OriginFetch`). It takes interim responses, then one head, then content, then one `end` or `abort`.
 */
export interface ResponseSink {
  /** Passes on an interim response (RFC 9110 section 15.2). It is dropped where it cannot be sent. */
  interim(status: number, fields: FieldLines): void;
  /**
   * Begins the response. Throws where it cannot be sent, and keeps nothing of it then.
   *
   * @param fields belong to the sink from now on: the caller must not change or use them again
   */
  head(status: number, reason: string, fields: string[]): void;
  /** Sends the head now: content may take a while. */
  flush(): void;
  /** Takes a piece of content. False: no more should follow before a drain listener is called. */
  content(chunk: Buffer): boolean;
  /** Ends the response with its last content, if there is any, and its trailer section. */
  end(last: Buffer | undefined, trailers: Trailers): void;
  /** Breaks the response off, so that nobody takes it for whole. */
  abort(): void;
  onDrain(listener: () => void): void;
  offDrain(listener: () => void): void;
}
