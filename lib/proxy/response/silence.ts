import type { Cancel, Clock } from '../../clock/clock.ts';

/**
 * Watches that something keeps happening: calls `onSilent` once when nothing was heard for `limitMs`.
 * One timer that looks back when it fires, instead of one timer per sound.
 */
export class Silence {
  readonly #clock: Clock;
  readonly #limitMs: number;
  readonly #onSilent: () => void;
  #lastSoundAtMs = 0;
  #cancel: Cancel = () => {};

  constructor(clock: Clock, limitMs: number, onSilent: () => void) {
    this.#clock = clock;
    this.#limitMs = limitMs;
    this.#onSilent = onSilent;
  }

  /** Begins to listen, or begins anew after `stop`. */
  start(): void {
    this.#cancel();
    this.heard();
    this.#cancel = this.#clock.after(this.#limitMs, this.#check);
  }

  heard(): void {
    this.#lastSoundAtMs = this.#clock.ticks();
  }

  stop(): void {
    this.#cancel();
  }

  readonly #check = (): void => {
    const leftMs = this.#lastSoundAtMs + this.#limitMs - this.#clock.ticks();
    if (leftMs > 0) this.#cancel = this.#clock.after(leftMs, this.#check);
    else this.#onSilent();
  };
}
