import { Sightings } from './sightings.ts';

/** When less of what is judged was asked for again, it is not worth its cost to keep whatever comes. */
const WORTHWHILE_SHARE = 0.05;
/** About so many of the last are judged by. */
const JUDGED_BY = 256;
/** More names are remembered as asked for than there is room for values. */
const BYTES_PER_NAME = 1024;
const FEWEST_NAMES = 1024;
const MOST_NAMES = 2 ** 24;

/**
 * Decides what a full store takes in. As long as some of what makes room had been used, everything is taken. When hardly
 * any had (a crawler, a URL for each request), only what is asked for again is, until enough is: so what is in use
 * stays, and a value that nobody will want costs nothing (the doorkeeper of TinyLFU, 2017).
 */
export class Admission {
  readonly #names: number;
  /** Made when it is asked for the first time: most stores never are. */
  #sightings: Sightings | undefined;
  #usedShare = 1;

  /** @param maxBytes what the store has room for; remembering names takes up to 1/128 of it more */
  constructor(maxBytes: number) {
    this.#names = Math.min(MOST_NAMES, Math.max(FEWEST_NAMES, Math.floor(maxBytes / BYTES_PER_NAME)));
  }

  /** Something has made room. What was taken at second sight says nothing of what the first is worth. */
  left(wasUsed: boolean): void {
    if (this.#takesAll) this.#judge(wasUsed);
  }

  /** Whether to keep what is being asked for under `name`. To be called once for each time it is asked for. */
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
