import type { Cancel, Clock } from '../clock/clock.ts';
import { type Place, Roster } from '../exchange/roster.ts';

/**
 * Calls back once `delayMs` have passed for whoever entered. All wait equally long, so the oldest is the next, and one
 * timer does for all: setting and clearing one for each request takes longer than everything else about a deadline. So a
 * timer that nobody waits for any more is left to run out.
 */
export class Deadlines {
  /** How long each of them waits. */
  readonly delayMs: number;
  readonly #clock: Clock;
  readonly #waiting = new Roster<Deadline>();
  #cancelTimer: Cancel | undefined;

  constructor(delayMs: number, clock: Clock) {
    this.delayMs = delayMs;
    this.#clock = clock;
  }

  /** Safe to cancel twice, and after it was called. */
  enter(onOver: () => void): Cancel {
    const deadline: Deadline = { atMs: this.#clock.ticks() + this.delayMs, onOver, place: undefined };
    deadline.place = this.#waiting.enter(deadline);
    if (!this.#cancelTimer) this.#wait(this.delayMs);
    return () => deadline.place?.leave();
  }

  #wait(ms: number): void {
    this.#cancelTimer = this.#clock.after(ms, this.#look);
  }

  readonly #look = (): void => {
    this.#cancelTimer = undefined;
    const nowMs = this.#clock.ticks();
    let next = this.#waiting.oldest;
    for (; next && next.atMs <= nowMs; next = this.#waiting.oldest) {
      next.place?.leave();
      next.onOver();
    }
    if (next && !this.#cancelTimer) this.#wait(next.atMs - nowMs);
  };
}

interface Deadline {
  /** By the clock's `ticks`. */
  readonly atMs: number;
  readonly onOver: () => void;
  place: Place | undefined;
}
