import type { Transform } from 'node:stream';
import { constants, createBrotliCompress, createGzip, createZstdCompress } from 'node:zlib';

/** The content codings that responses may get, by their names in `Content-Encoding` (RFC 9110 section 8.4.1, RFC 8878). */
export const CODINGS = ['zstd', 'br', 'gzip'] as const;
export type Coding = (typeof CODINGS)[number];

/** How much work goes into a coding: gzip 1 to 9, br 0 to 11, zstd 1 to 19. */
export type Levels = Readonly<Record<Coding, number>>;

/** The lowest and the highest level of each. */
export const LEVEL_RANGES: Readonly<Record<Coding, readonly [number, number]>> = {
  zstd: [1, 19],
  br: [0, 11],
  gzip: [1, 9],
};

/** Levels at which a response costs about as much as its JSON did. */
export const DEFAULT_LEVELS: Levels = { zstd: 3, br: 4, gzip: 6 };

/** How far back a coder looks for repetitions: it needs several times that memory. */
const WINDOW_BITS = 18;

/** A stream of Node's zlib. */
export interface Coder extends Transform {
  flush(kind: number, callback: () => void): void;
}

/** What is known when the coding begins. */
export interface CoderTerms {
  readonly level: number;
  /** All content; undefined: nobody has said how much it is. */
  readonly totalBytes?: number | undefined;
}

/** A new coder, whose memory is bounded whatever the length of the content: about 1 MiB at the default levels. */
export function createCoder(coding: Coding, { level, totalBytes }: CoderTerms): Coder {
  switch (coding) {
    case 'gzip':
      return createGzip({ level });
    case 'br':
      return createBrotliCompress({
        params: {
          [constants.BROTLI_PARAM_QUALITY]: level,
          [constants.BROTLI_PARAM_LGWIN]: WINDOW_BITS,
          ...(totalBytes !== undefined && { [constants.BROTLI_PARAM_SIZE_HINT]: totalBytes }),
        },
      });
    case 'zstd':
      return createZstdCompress({
        params: {
          [constants.ZSTD_c_compressionLevel]: level,
          [constants.ZSTD_c_windowLog]: WINDOW_BITS,
        },
      });
  }
}

/** Has the coder put out everything that it has taken. Less than zlib's own default, which also forgets what it has seen. */
export function flushCoder(coder: Coder, coding: Coding, whenDone: () => void): void {
  coder.flush(FLUSHES[coding], whenDone);
}

const FLUSHES: Readonly<Record<Coding, number>> = {
  gzip: constants.Z_SYNC_FLUSH,
  br: constants.BROTLI_OPERATION_FLUSH,
  zstd: constants.ZSTD_e_flush,
};
