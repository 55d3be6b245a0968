import type { Response } from 'express';
import { exchangeOf } from '../exchange/exchange.ts';
import type { ContentTransform } from '../response/hooks.ts';
import { type ResponseWriter, writerOf } from '../response/responseWriter.ts';
import type { CoderPlace } from './coderLimit.ts';
import { type Coder, type Coding, flushCoder } from './codings.ts';
import { CodingFailedError } from './errors.ts';
import { isOfContent } from './rules/contentFields.ts';

export interface StreamCodingOptions {
  readonly coding: Coding;
  readonly coder: Coder;
  readonly place: CoderPlace;
  /** Called once the response was coded whole. */
  readonly onCoded: (coding: Coding, bytesIn: number, bytesOut: number) => void;
  readonly onFailed: (error: CodingFailedError) => void;
}

/**
 * Codes the content of one response as it arrives. Whenever everything that has arrived is coded and nothing more is there, it
 * leaves: a slow service's pieces come as soon as they would uncoded. A client that does not read stops the coder, and so
 * whoever writes. Once all content is there it is coded to its end, so that the coder is free again.
 */
export class StreamCoding implements ContentTransform {
  readonly #res: Response;
  readonly #writer: ResponseWriter;
  readonly #options: StreamCodingOptions;
  #bytesIn = 0;
  #bytesOut = 0;
  #hasEnded = false;
  #isOver = false;
  #whenDone: (() => void) | undefined;

  constructor(res: Response, options: StreamCodingOptions) {
    this.#res = res;
    this.#writer = writerOf(res);
    this.#options = options;
    const { coder } = options;
    coder.on('data', this.#put);
    coder.on('drain', this.#tellDrained);
    coder.on('end', this.#finish);
    coder.on('error', this.#fail);
    res.on('drain', this.#readOn);
    exchangeOf(res).onClose(this.#close);
  }

  content(chunk: Buffer): boolean {
    if (this.#hasEnded || this.#isOver) return true;
    this.#bytesIn += chunk.length;
    return this.#options.coder.write(chunk, this.#flushIfIdle);
  }

  end(last: Buffer | undefined, whenDone: (() => void) | undefined): void {
    if (this.#isOver) return;
    const { coder } = this.#options;
    this.#hasEnded = true;
    this.#whenDone = whenDone;
    this.#bytesIn += last?.length ?? 0;
    coder.end(last);
    coder.resume();
  }

  dropsTrailer(lowerCaseName: string): boolean {
    return isOfContent(lowerCaseName);
  }

  readonly #flushIfIdle = (error?: Error | null): void => {
    const { coder, coding } = this.#options;
    if (error || this.#hasEnded || this.#isOver || coder.writableLength > 0) return;
    flushCoder(coder, coding, doNothing);
  };

  readonly #put = (chunk: Buffer): void => {
    this.#bytesOut += chunk.length;
    if (!this.#writer.put(chunk) && !this.#hasEnded) this.#options.coder.pause();
  };

  readonly #readOn = (): void => {
    if (!this.#res.writableNeedDrain) this.#options.coder.resume();
  };

  readonly #tellDrained = (): void => {
    // Whoever writes waits for the response to drain, and this stands in front of it.
    if (!this.#hasEnded && !this.#isOver) this.#res.emit('drain');
  };

  readonly #finish = (): void => {
    if (this.#isOver) return;
    const { coding, onCoded } = this.#options;
    this.#release();
    this.#writer.close(undefined, this.#whenDone);
    onCoded(coding, this.#bytesIn, this.#bytesOut);
  };

  readonly #fail = (cause: Error): void => {
    if (this.#isOver) return;
    this.#release();
    breakOff(this.#res, cause, this.#options.onFailed);
  };

  /** The response is over, whole or not. */
  readonly #close = (): void => {
    if (this.#isOver) return;
    this.#release();
    this.#options.coder.destroy();
  };

  #release(): void {
    this.#isOver = true;
    this.#res.off('drain', this.#readOn);
    this.#options.place.release();
  }
}

/** Ends the response so that nobody takes it for whole. */
export function breakOff(res: Response, cause: Error, onFailed: (error: CodingFailedError) => void): void {
  const error = new CodingFailedError(`the response could not be coded: ${cause.message}`, { cause });
  const exchange = exchangeOf(res);
  exchange.errorCode = error.code;
  exchange.failure = error;
  exchange.abort(error, 'settled');
  writerOf(res).abort();
  onFailed(error);
}

function doNothing(): void {}
