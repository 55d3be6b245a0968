import type { Clock } from './clock.ts';

/** A jump that has lasted for so long is the truth: the clock was wrong before. */
const BELIEVED_AFTER_MS = 24 * 60 * 60 * 1000;
/** A smaller difference is a clock being set right a little at a time. */
const SMALLEST_JUMP_MS = 1_000;

/**
 * What the time may be while the wall clock has jumped: what it says, or what it would say had it not jumped, which
 * `ticks` tell. A jump is believed once it has lasted for a day.
 *
 * For what must not be done too early, such as forgetting a revocation. A clock that was wrong from the start is not
 * found out.
 */
export class CautiousTime {
  readonly #clock: Clock;
  /** The wall clock less the ticks, as believed. */
  #believedMs: number;
  #jump: { readonly offsetMs: number; readonly sinceTicks: number } | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#believedMs = this.#offsetMs;
  }

  /** Milliseconds since the epoch: it is certainly not earlier than this. */
  earliestMs(): number {
    this.#look();
    return Math.min(this.#clock.now(), this.#clock.ticks() + this.#believedMs);
  }

  /** Milliseconds since the epoch: it is certainly not later than this. */
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
