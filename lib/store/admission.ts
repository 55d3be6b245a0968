import { Sightings } from './sightings.ts';

/** When less of what makes room has ever been used, it is not worth its cost to keep whatever comes. */
const WORTHWHILE_SHARE = 0.05;
/** About so many of the last that made room are judged by. */
const JUDGED_BY = 256;
/** One of so many is kept at first sight all the same: nobody would learn otherwise that it has become worthwhile. */
const ONE_IN = 32;
/** More names are remembered as asked for than there is room for values. */
const BYTES_PER_NAME = 1024;
const FEWEST_NAMES = 1024;
const MOST_NAMES = 2 ** 24;

/**
 * Decides what a full store takes in, by what became of that which had to make room for it. As long as some of it had
 * been used, everything is taken. When hardly any had (a crawler, a URL for each request), only what is asked for again
 * is: so what is in use stays, and a value that nobody will want costs nothing (the doorkeeper of TinyLFU, 2017).
 */
export class Admission {
  readonly #names: number;
  /** Made when it is asked for the first time: most stores never are. */
  #sightings: Sightings | undefined;
  #usedShare = 1;
  #sinceSample = 0;

  /** @param maxBytes what the store has room for */
  constructor(maxBytes: number) {
    this.#names = Math.min(MOST_NAMES, Math.max(FEWEST_NAMES, Math.floor(maxBytes / BYTES_PER_NAME)));
  }

  /** Something has made room. */
  left(wasUsed: boolean): void {
    this.#usedShare += ((wasUsed ? 1 : 0) - this.#usedShare) / JUDGED_BY;
  }

  /** Whether to keep what is being asked for under `name`. To be called once for each time it is asked for. */
  admits(name: string): boolean {
    if (this.#usedShare >= WORTHWHILE_SHARE) return true;
    this.#sightings ??= new Sightings(this.#names);
    const wasSeen = this.#sightings.see(name);
    // What would have become of it, had it been stored at first sight.
    this.left(wasSeen);
    if (wasSeen) return true;
    this.#sinceSample = (this.#sinceSample + 1) % ONE_IN;
    return this.#sinceSample === 0;
  }
}
