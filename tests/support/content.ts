import { createHash, type Hash, randomBytes } from 'node:crypto';

const BLOCK = randomBytes(2 ** 20);

/** What was sent or what arrived, to compare the two. */
export interface Digest {
  readonly bytes: number;
  readonly sha256: string;
}

/** Content of any length in the memory of one block. It is made as it is asked for, once. */
export class LargeContent implements Iterable<Buffer> {
  readonly #hash: Hash = createHash('sha256');
  #left: number;
  #bytes = 0;

  constructor(bytes: number) {
    this.#left = bytes;
  }

  *[Symbol.iterator](): Generator<Buffer> {
    while (this.#left > 0) {
      const block = BLOCK.subarray(0, Math.min(this.#left, BLOCK.length));
      this.#hash.update(block);
      this.#bytes += block.length;
      this.#left -= block.length;
      yield block;
    }
  }

  /** How much of it has been asked for. */
  get bytes(): number {
    return this.#bytes;
  }

  get digest(): Digest {
    return { bytes: this.#bytes, sha256: this.#hash.copy().digest('hex') };
  }
}

/** Reads `content` to its end. */
export async function digestOf(content: AsyncIterable<Buffer>): Promise<Digest> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of content) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  return { bytes, sha256: hash.digest('hex') };
}
