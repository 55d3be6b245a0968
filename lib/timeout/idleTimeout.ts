import type { Cancel, Clock } from '../clock/clock.ts';

/**
 * Calls `onIdle` once when nothing has happened for `limitMs`. It keeps one timer and looks back when that fires: setting a
 * timer anew for each piece of content would cost more than passing it on.
 */
export class IdleTimeout {
  readonly #clock: Clock;
  readonly #limitMs: number;
  readonly #onIdle: () => void;
  #lastActivityMs = Number.NEGATIVE_INFINITY;
  #cancel: Cancel = () => {};

  constructor(clock: Clock, limitMs: number, onIdle: () => void) {
    this.#clock = clock;
    this.#limitMs = limitMs;
    this.#onIdle = onIdle;
  }

  /** Begins to watch, or begins anew after `stop`. */
  start(): void {
    this.#cancel();
    this.#cancel = this.#clock.after(this.#limitMs, this.#check);
  }

  /** Something has happened: the time starts anew. */
  activity(): void {
    this.#lastActivityMs = this.#clock.ticks();
  }

  stop(): void {
    this.#cancel();
  }

  readonly #check = (): void => {
    const leftMs = this.#lastActivityMs + this.#limitMs - this.#clock.ticks();
    if (leftMs > 0) this.#cancel = this.#clock.after(leftMs, this.#check);
    else this.#onIdle();
  };
}
