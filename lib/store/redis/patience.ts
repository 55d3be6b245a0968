/**
 * Tells a store that has fallen silent from one that had a hiccup: `limit` timeouts in a row, each of a command
 * that was begun after the one before had timed out. So a hiccup counts once, however many commands it hit.
 */
export class Patience {
  readonly #limit: number;
  #timeoutsInARow = 0;
  #round = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Begins a command; the number goes to `timedOut`. */
  begin(): number {
    return this.#round;
  }

  answered(): void {
    this.#timeoutsInARow = 0;
  }

  /** Whether patience is at an end. */
  timedOut(round: number): boolean {
    if (round === this.#round) {
      this.#round += 1;
      this.#timeoutsInARow += 1;
    }
    return this.#timeoutsInARow >= this.#limit;
  }
}
