import { hash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { CoderLimit } from './coderLimit.ts';
import { type Coder, type CoderTerms, type Coding, createCoder } from './codings.ts';

/** Beside the bytes of a copy: its key and its places in the lists. */
const OVERHEAD_BYTES = 300;
/** Longer content is coded for each response instead: its copy would drive out too many others. */
const MOST_OF_ONE = 1 / 4;

export interface CodedContentsOptions {
  /** Bytes of all copies together, above 0. */
  readonly maxBytes: number;
  readonly limit: CoderLimit;
  /** Default: zlib's. */
  readonly create?: (coding: Coding, terms: CoderTerms) => Coder;
}

/**
 * Coded copies of content that is stored somewhere, so that each is coded once. They are found by the content itself (SHA-256):
 * a copy can never be that of something else, also where an entry is validated, replaced, purged or stored for several users,
 * and two entries with the same content have one copy. The least recently used go first.
 */
export class CodedContents {
  readonly #copies: LRUCache<string, Buffer>;
  readonly #maxBytes: number;
  readonly #limit: CoderLimit;
  readonly #create: (coding: Coding, terms: CoderTerms) => Coder;
  /** Copies that are being made, for all who ask meanwhile. */
  readonly #underWay = new Map<string, Promise<Buffer>>();
  /** Stored buffers are not written to, so that each is digested once. */
  readonly #digests = new WeakMap<Buffer, string>();

  constructor({ maxBytes, limit, create = createCoder }: Readonly<CodedContentsOptions>) {
    this.#maxBytes = maxBytes;
    this.#limit = limit;
    this.#create = create;
    this.#copies = new LRUCache({
      maxSize: maxBytes,
      sizeCalculation: (copy) => copy.length + OVERHEAD_BYTES,
    });
  }

  /** Bytes of all copies. */
  get bytes(): number {
    return this.#copies.calculatedSize;
  }

  /** Whether content of this length gets a copy. */
  takes(bytes: number): boolean {
    return bytes <= this.#maxBytes * MOST_OF_ONE;
  }

  /**
   * The copy, or when it will be there. Undefined: there is none, and no coder for it.
   *
   * @param content of a string, each character is one byte
   * @param caller whose place among the coders it takes
   */
  find(
    content: Buffer | string,
    coding: Coding,
    level: number,
    caller: string,
  ): Buffer | Promise<Buffer> | undefined {
    const key = `${coding} ${level} ${this.#digestOf(content)}`;
    return (
      this.#copies.get(key) ?? this.#underWay.get(key) ?? this.#make(key, content, coding, level, caller)
    );
  }

  #make(
    key: string,
    content: Buffer | string,
    coding: Coding,
    level: number,
    caller: string,
  ): Promise<Buffer> | undefined {
    const place = this.#limit.take(caller);
    if (!place) return undefined;
    const coder = this.#create(coding, { level, totalBytes: content.length });
    const made = collected(coder, bytesOf(content))
      .then((copy) => {
        this.#copies.set(key, copy);
        return copy;
      })
      .finally(() => {
        place.release();
        this.#underWay.delete(key);
      });
    this.#underWay.set(key, made);
    return made;
  }

  #digestOf(content: Buffer | string): string {
    if (typeof content === 'string') return hash('sha256', bytesOf(content), 'base64');
    const known = this.#digests.get(content);
    if (known !== undefined) return known;
    const digest = hash('sha256', content, 'base64');
    this.#digests.set(content, digest);
    return digest;
  }
}

function bytesOf(content: Buffer | string): Buffer {
  return typeof content === 'string' ? Buffer.from(content, 'latin1') : content;
}

function collected(coder: Coder, content: Buffer): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const pieces: Buffer[] = [];
  coder.on('data', (piece: Buffer) => pieces.push(piece));
  coder.on('end', () => resolve(Buffer.concat(pieces)));
  coder.on('error', reject);
  coder.end(content);
  return promise;
}
