import type { Cells } from '../../lib/threads/cells.ts';
import type { Shares } from './shares.ts';

/** Which threads take requests, as all of them see it. */
export class Serving {
  readonly #cells: Cells;
  readonly #seat: number;
  readonly #seats: number;
  readonly #wanted: number;

  /** @param wanted how many are to take requests */
  constructor(shares: Shares, wanted: number) {
    const { cells, seat, seats } = shares.of('serving', (count) => ({ whole: count }));
    this.#cells = cells;
    this.#seat = seat;
    this.#seats = seats;
    this.#wanted = wanted;
  }

  get allServe(): boolean {
    let serving = 0;
    for (let seat = 0; seat < this.#seats; seat += 1) serving += this.#cells.get(seat);
    return serving >= this.#wanted;
  }

  /** This thread does from now on, or does not any more. */
  set(serves: boolean): void {
    this.#cells.set(this.#seat, Number(serves));
  }

  /** Another thread has ended. */
  leave(seat: number): void {
    this.#cells.set(seat, 0);
  }
}
