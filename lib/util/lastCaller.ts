const NEVER = Number.NEGATIVE_INFINITY;

/** Remembers who was seen last, and when anybody else was: enough to tell whether somebody is the only one. */
export class LastCaller {
  #last: string | undefined;
  #lastAtMs = NEVER;
  /** When anybody but `#last` was seen for the last time. */
  #othersAtMs = NEVER;

  add(caller: string, nowMs: number): void {
    if (caller !== this.#last) {
      this.#othersAtMs = this.#lastAtMs;
      this.#last = caller;
    }
    this.#lastAtMs = nowMs;
  }

  /** Whether anybody but `caller` was seen after `sinceMs`; without a caller, whether anybody was. */
  sawAnother(caller: string | undefined, sinceMs: number): boolean {
    return (caller === this.#last ? this.#othersAtMs : this.#lastAtMs) > sinceMs;
  }
}
