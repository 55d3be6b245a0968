import type { Clock } from '../clock/clock.ts';
import { LinkedSet, type Place } from '../util/linkedSet.ts';

/** Something that waits until its time is over. */
export interface Waiting {
  /**
   * When it began to wait, by the clock's `ticks`. Set before it enters; never earlier than that of those already
   * waiting.
   */
  readonly sinceMs: number;
  /** Its time is over, and it was removed. `nowMs` is the clock's `ticks`. */
  onOver(nowMs: number): void;
}

/**
 * Calls each waiting object back when `delayMs` have passed since it entered. All of them wait equally long, so the one that
 * entered first is the next, and one timer serves all: setting and clearing a timer for each request would cost more than
 * the rest of a deadline. For the same reason the timer is not cleared when nobody waits any more.
 */
export class Deadlines {
  /** How long each of them waits, in milliseconds. */
  readonly delayMs: number;
  readonly #clock: Clock;
  readonly #waiting = new LinkedSet<Waiting>();
  #isTimerSet = false;
  #cancelTimer = () => {};

  constructor(delayMs: number, clock: Clock) {
    this.delayMs = delayMs;
    this.#clock = clock;
  }

  /** Waits until it leaves its place, or is called back. */
  enter(who: Waiting): Place {
    if (!this.#isTimerSet) this.#wait(this.delayMs);
    return this.#waiting.enter(who);
  }

  /** The same for a mere callback. */
  enterNow(onOver: () => void): Place {
    return this.enter({ sinceMs: this.#clock.ticks(), onOver });
  }

  /** Calls nobody back any more. */
  dispose(): void {
    this.#cancelTimer();
  }

  #wait(ms: number): void {
    this.#isTimerSet = true;
    this.#cancelTimer = this.#clock.after(ms, this.#look);
  }

  readonly #look = (): void => {
    this.#isTimerSet = false;
    const nowMs = this.#clock.ticks();
    const dueMs = nowMs - this.delayMs;
    let { oldest } = this.#waiting;
    for (; oldest && oldest.sinceMs <= dueMs; oldest = this.#waiting.oldest) {
      this.#waiting.dropOldest();
      oldest.onOver(nowMs);
    }
    if (oldest && !this.#isTimerSet) this.#wait(oldest.sinceMs - dueMs);
  };
}
