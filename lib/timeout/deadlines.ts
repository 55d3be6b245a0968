import type { Clock } from '../clock/clock.ts';
import { LinkedSet, type Place } from '../util/linkedSet.ts';

/** Whoever waits for its time to be over. */
export interface Waiting {
  /** When it began to wait, by the clock's `ticks`: before it enters, and no earlier than those before it. */
  readonly sinceMs: number;
  /** Its time is over, and it has left. `nowMs` are the clock's `ticks`. */
  onOver(nowMs: number): void;
}

/**
 * Tells whoever entered that `delayMs` have passed. All wait equally long, so the oldest is the next, and one timer does
 * for all: setting and clearing one for each request takes longer than everything else about a deadline. So a timer that
 * nobody waits for any more is left to run out.
 */
export class Deadlines {
  /** How long each of them waits. */
  readonly delayMs: number;
  readonly #clock: Clock;
  readonly #waiting = new LinkedSet<Waiting>();
  #isTimerSet = false;
  #cancelTimer = () => {};

  constructor(delayMs: number, clock: Clock) {
    this.delayMs = delayMs;
    this.#clock = clock;
  }

  /** Waits until it leaves its place, or is told. */
  enter(who: Waiting): Place {
    if (!this.#isTimerSet) this.#wait(this.delayMs);
    return this.#waiting.enter(who);
  }

  /** The same for whom it is enough to be called back. */
  enterNow(onOver: () => void): Place {
    return this.enter({ sinceMs: this.#clock.ticks(), onOver });
  }

  /** Tells nobody any more. */
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
