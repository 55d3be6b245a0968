import { Sightings } from './sightings.ts';

/** When a smaller share of the judged values was ever used again, storing every response is not worth its cost. */
const WORTHWHILE_SHARE = 0.05;
/** The share is averaged over about this many of the latest values. */
const JUDGED_BY = 256;
/** One remembered name for each so many bytes of the store: there are more names than there is room for values. */
const BYTES_PER_NAME = 1024;
const FEWEST_NAMES = 1024;
const MOST_NAMES = 2 ** 24;

/**
 * Decides what a full store takes in. As long as some of the evicted values had been used, it takes everything. When hardly
 * any had been used (a crawler, or a new URL with each request), it takes only what is asked for a second time, until enough
 * is. So values in use stay, and a value that nobody asks for again costs nothing (the doorkeeper of TinyLFU, 2017).
 */
export class Admission {
  readonly #names: number;
  /** Created when it is first needed, which most stores never do. */
  #sightings: Sightings | undefined;
  #usedShare = 1;

  /** @param maxBytes the store's bound; the remembered names take up to 1/128 of it in addition */
  constructor(maxBytes: number) {
    this.#names = Math.min(MOST_NAMES, Math.max(FEWEST_NAMES, Math.floor(maxBytes / BYTES_PER_NAME)));
  }

  /** A value was evicted. While only repeated names are taken in, evicted values say nothing about first requests. */
  left(wasUsed: boolean): void {
    if (this.#takesAll) this.#judge(wasUsed);
  }

  /** Whether to store the value that is asked for under `name`. To be called once for each request for it. */
  admits(name: string): boolean {
    if (this.#takesAll) return true;
    this.#sightings ??= new Sightings(this.#names);
    const wasSeen = this.#sightings.see(name);
    this.#judge(wasSeen);
    return wasSeen;
  }

  get #takesAll(): boolean {
    return this.#usedShare >= WORTHWHILE_SHARE;
  }

  #judge(wasWanted: boolean): void {
    this.#usedShare += ((wasWanted ? 1 : 0) - this.#usedShare) / JUDGED_BY;
  }
}
