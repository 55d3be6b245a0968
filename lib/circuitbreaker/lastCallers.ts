const NEVER = Number.NEGATIVE_INFINITY;

/** The last caller that was served and the last one that was another: enough to tell whether another was, and when. */
export class LastCallers {
  #one: string | undefined;
  #oneAtMs = NEVER;
  #other: string | undefined;
  #otherAtMs = NEVER;

  add(caller: string, nowMs: number): void {
    if (caller === this.#one) {
      this.#oneAtMs = nowMs;
    } else if (caller === this.#other || this.#otherAtMs <= this.#oneAtMs) {
      this.#other = caller;
      this.#otherAtMs = nowMs;
    } else {
      this.#one = caller;
      this.#oneAtMs = nowMs;
    }
  }

  /** Whether anybody else than `caller` was served after `sinceMs`; without a caller, whether anybody was. */
  another(caller: string | undefined, sinceMs: number): boolean {
    return (
      (this.#one !== caller && this.#oneAtMs > sinceMs) ||
      (this.#other !== caller && this.#otherAtMs > sinceMs)
    );
  }
}
