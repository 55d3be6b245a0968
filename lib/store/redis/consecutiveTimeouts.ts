/**
 * Tells a Redis that has stopped responding from one that paused briefly. It counts timeouts in a row, each of a command
 * that was sent after the previous timeout: so a pause counts once, however many commands were waiting during it.
 */
export class ConsecutiveTimeouts {
  readonly #limit: number;
  #count = 0;
  #round = 0;

  /** @param limit how many timeouts in a row end the connection, 1 or more */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** To be called when a command is sent; the returned number is for `timedOut`. */
  begin(): number {
    return this.#round;
  }

  /** Redis has replied. */
  reset(): void {
    this.#count = 0;
  }

  /** A command of this round has timed out. Returns whether the limit is reached. */
  timedOut(round: number): boolean {
    if (round === this.#round) {
      this.#round += 1;
      this.#count += 1;
    }
    return this.#count >= this.#limit;
  }
}
