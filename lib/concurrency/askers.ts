import { ASKING_MS } from './permits.ts';

/** Remembers whether several ask for the same: who asked last, and when somebody else did. Exact, and two entries. */
export class Askers {
  #last: string | undefined;
  #lastAtMs = Number.NEGATIVE_INFINITY;
  /** When anybody but `#last` asked for the last time. */
  #othersAtMs = Number.NEGATIVE_INFINITY;

  note(asker: string, nowMs: number): void {
    if (asker !== this.#last) {
      this.#othersAtMs = this.#lastAtMs;
      this.#last = asker;
    }
    this.#lastAtMs = nowMs;
  }

  /** Whether nobody but `asker` has asked within the last ten seconds. */
  isAlone(asker: string, nowMs: number): boolean {
    const othersAtMs = asker === this.#last ? this.#othersAtMs : this.#lastAtMs;
    return nowMs - othersAtMs >= ASKING_MS;
  }
}
