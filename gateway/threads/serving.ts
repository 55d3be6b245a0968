import type { Cells } from '../../lib/threads/cells.ts';
import type { Shares } from './shares.ts';

export interface ServingState {
  /** How many threads take requests. */
  readonly count: number;
  /** How many are to. */
  readonly wanted: number;
  /** Whether there have been as many as that at some time: the start is over. */
  readonly begun: boolean;
  /** Whether all of them are to end. */
  readonly stopping: boolean;
}

/** Which threads take requests, as all of them see it. */
export class Serving {
  readonly #cells: Cells;
  readonly #seat: number;
  readonly #seats: number;
  readonly #wanted: number;

  /** @param wanted how many are to take requests */
  constructor(shares: Shares, wanted: number) {
    // One for each seat, one for whether the start is over, and one for whether the end has begun.
    const { cells, seat, seats } = shares.of('serving', (count) => ({ whole: count + 2 }));
    this.#cells = cells;
    this.#seat = seat;
    this.#seats = seats;
    this.#wanted = wanted;
  }

  get state(): ServingState {
    return {
      count: this.#count(),
      wanted: this.#wanted,
      begun: this.#cells.get(this.#seats) === 1,
      stopping: this.#cells.get(this.#seats + 1) === 1,
    };
  }

  /** This thread does from now on, or does not any more. */
  set(serves: boolean): void {
    this.#cells.set(this.#seat, Number(serves));
    if (this.#count() >= this.#wanted) this.#cells.set(this.#seats, 1);
  }

  /** All threads are to end: each says so from now on, also those that do not know yet. */
  stop(): void {
    this.#cells.set(this.#seats + 1, 1);
  }

  /** Another thread has ended. */
  leave(seat: number): void {
    this.#cells.set(seat, 0);
  }

  #count(): number {
    let serving = 0;
    for (let seat = 0; seat < this.#seats; seat += 1) serving += this.#cells.get(seat);
    return serving;
  }
}
