import type { Cells } from '../../lib/threads/cells.ts';
import type { Shares } from './shares.ts';

export interface ServingState {
  /** How many threads take requests. */
  readonly count: number;
  /** How many threads should take requests. */
  readonly wanted: number;
  /** Whether that number was reached at some time, so that the start is over. */
  readonly begun: boolean;
  /** Whether all threads are to end. */
  readonly stopping: boolean;
}

/** Which threads take requests, in memory that all of them share. */
export class Serving {
  readonly #cells: Cells;
  readonly #threadNumber: number;
  readonly #threadCount: number;
  readonly #wanted: number;

  /** @param wanted how many threads should take requests */
  constructor(shares: Shares, wanted: number) {
    // A cell for each thread, one for whether the start is over, and one for whether the end has begun.
    const { cells, threadNumber, threadCount } = shares.of('serving', (count) => ({ whole: count + 2 }));
    this.#cells = cells;
    this.#threadNumber = threadNumber;
    this.#threadCount = threadCount;
    this.#wanted = wanted;
  }

  get state(): ServingState {
    return {
      count: this.#count(),
      wanted: this.#wanted,
      begun: this.#cells.get(this.#threadCount) === 1,
      stopping: this.#cells.get(this.#threadCount + 1) === 1,
    };
  }

  /** Whether this thread takes requests from now on. */
  set(serves: boolean): void {
    this.#cells.set(this.#threadNumber, Number(serves));
    if (this.#count() >= this.#wanted) this.#cells.set(this.#threadCount, 1);
  }

  /** All threads are to end. Each reports that from now on, even before it is told to end. */
  stop(): void {
    this.#cells.set(this.#threadCount + 1, 1);
  }

  /** The thread of this number has ended. */
  leave(threadNumber: number): void {
    this.#cells.set(threadNumber, 0);
  }

  #count(): number {
    let serving = 0;
    for (let threadNumber = 0; threadNumber < this.#threadCount; threadNumber += 1)
      serving += this.#cells.get(threadNumber);
    return serving;
  }
}
