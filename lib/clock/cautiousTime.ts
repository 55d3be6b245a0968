import type { Clock } from './clock.ts';

/** A jump that has lasted for this long is believed: the clock was wrong before. */
const BELIEVED_AFTER_MS = 24 * 60 * 60 * 1000;
/** A smaller difference is taken for a clock that is adjusted gradually. */
const SMALLEST_JUMP_MS = 1_000;

/**
 * The earliest and the latest time that it may be after the wall clock has jumped: one is what the clock says, the other
 * what it would say without the jump (by `ticks`). A jump is believed once it has lasted for a day.
 *
 * It is used for what must not happen too early, such as deleting a revocation. A clock that was wrong from the start is not
 * noticed.
 */
export class CautiousTime {
  readonly #clock: Clock;
  /** The believed difference between the wall clock and the ticks. */
  #believedMs: number;
  #jump: { readonly offsetMs: number; readonly sinceTicks: number } | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#believedMs = this.#offsetMs;
  }

  /** In milliseconds since the epoch. It is certainly not earlier than this. */
  earliestMs(): number {
    this.#look();
    return Math.min(this.#clock.now(), this.#clock.ticks() + this.#believedMs);
  }

  /** In milliseconds since the epoch. It is certainly not later than this. */
  latestMs(): number {
    this.#look();
    return Math.max(this.#clock.now(), this.#clock.ticks() + this.#believedMs);
  }

  get #offsetMs(): number {
    return this.#clock.now() - this.#clock.ticks();
  }

  #look(): void {
    const [offsetMs, ticks] = [this.#offsetMs, this.#clock.ticks()];
    const isAt = (otherMs: number) => Math.abs(offsetMs - otherMs) < SMALLEST_JUMP_MS;
    if (isAt(this.#believedMs)) {
      this.#believedMs = offsetMs;
      this.#jump = undefined;
    } else if (!this.#jump || !isAt(this.#jump.offsetMs)) {
      this.#jump = { offsetMs, sinceTicks: ticks };
    } else if (ticks - this.#jump.sinceTicks >= BELIEVED_AFTER_MS) {
      this.#believedMs = offsetMs;
      this.#jump = undefined;
    }
  }
}
