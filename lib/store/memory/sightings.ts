import { fnv1a, spread } from '../../util/hash.ts';

/** Two bits are set for each name, so that at the end of a generation 1.4 % of unseen names pass for seen. */
const BITS_PER_NAME = 16;
const BITS_PER_WORD = 32;
const MIX = 0x85ebca6b;

/**
 * Remembers recently seen names in two Bloom filters: the one being filled, and the one before it. A few unseen names pass
 * for seen; none of the last `names` names is ever forgotten.
 */
export class Sightings {
  readonly #names: number;
  readonly #lastBit: number;
  #now: Uint32Array;
  #before: Uint32Array;
  #seen = 0;

  /** @param names how many names fill a generation, 1..2^24; each takes 4 bytes or more */
  constructor(names: number) {
    this.#names = names;
    const bits = 2 ** Math.ceil(Math.log2(Math.max(BITS_PER_WORD, names * BITS_PER_NAME)));
    this.#lastBit = bits - 1;
    this.#now = new Uint32Array(bits / BITS_PER_WORD);
    this.#before = new Uint32Array(bits / BITS_PER_WORD);
  }

  /** Whether `name` was seen recently. From now on it counts as seen. */
  see(name: string): boolean {
    const hash = spread(fnv1a(name));
    const first = hash & this.#lastBit;
    const second = Math.imul(hash ^ (hash >>> 15), MIX) & this.#lastBit;
    if (isSet(this.#now, first) && isSet(this.#now, second)) return true;
    setBit(this.#now, first);
    setBit(this.#now, second);
    const wasSeen = isSet(this.#before, first) && isSet(this.#before, second);
    this.#seen += 1;
    if (this.#seen === this.#names) this.#beginGeneration();
    return wasSeen;
  }

  #beginGeneration(): void {
    const oldest = this.#before;
    this.#before = this.#now;
    this.#now = oldest.fill(0);
    this.#seen = 0;
  }
}

function isSet(words: Uint32Array, bit: number): boolean {
  return ((words[bit >>> 5] as number) & (1 << (bit & 31))) !== 0;
}

function setBit(words: Uint32Array, bit: number): void {
  words[bit >>> 5] = (words[bit >>> 5] as number) | (1 << (bit & 31));
}
