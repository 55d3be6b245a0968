import type { Response } from 'express';
import type { ContentTransform } from '../response/hooks.ts';
import { writerOf } from '../response/responseWriter.ts';
import type { CodingFailedError } from './errors.ts';
import { isOfContent } from './rules/contentFields.ts';
import { breakOff } from './streamCoding.ts';

export interface CopyCodingOptions {
  /** The coded copy of the content, or where it is still being made. */
  readonly copy: Buffer | Promise<Buffer>;
  /** Called once the response was given whole. */
  readonly onSent: (bytesOut: number) => void;
  readonly onFailed: (error: CodingFailedError) => void;
}

/** Gives a coded copy of stored content in its place. */
export class CopyCoding implements ContentTransform {
  readonly #res: Response;
  readonly #options: CopyCodingOptions;

  constructor(res: Response, options: CopyCodingOptions) {
    this.#res = res;
    this.#options = options;
  }

  /** It is all in the copy. */
  content(): boolean {
    return true;
  }

  end(_last: Buffer | undefined, whenDone: (() => void) | undefined): void {
    const { copy, onFailed } = this.#options;
    if (Buffer.isBuffer(copy)) this.#send(copy, whenDone);
    else
      copy.then(
        (made) => this.#send(made, whenDone),
        (error: Error) => breakOff(this.#res, error, onFailed),
      );
  }

  dropsTrailer(lowerCaseName: string): boolean {
    return isOfContent(lowerCaseName);
  }

  #send(copy: Buffer, whenDone: (() => void) | undefined): void {
    writerOf(this.#res).close(copy, whenDone);
    this.#options.onSent(copy.length);
  }
}
