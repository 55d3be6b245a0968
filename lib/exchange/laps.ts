import { type Clock, systemClock } from '../clock/clock.ts';

/** What a request may spend its time on; `other` is everything that nobody asks about. */
export type Lap = 'other' | 'permit' | 'auth' | 'cache' | 'upstream' | 'answer';

/**
 * Where the time of one request goes, in milliseconds. One lap runs at a time: to begin one ends the one before. A lap
 * that never ran is NaN; one that runs several times adds up.
 */
export class Laps {
  /** Waiting for permission to go on: a place among those in flight. */
  permit = Number.NaN;
  auth = Number.NaN;
  /** Looking for a stored answer; waiting for one that another request has asked for is part of it. */
  cache = Number.NaN;
  /** From the choice of a replica to the first byte of the answer, failed tries included. */
  upstream = Number.NaN;
  /** From the first byte of the answer to the last. */
  answer = Number.NaN;
  other = Number.NaN;
  readonly #clock: Clock;
  readonly #startedAtMs: number;
  #running: Lap = 'other';
  #sinceMs: number;

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
    this.#startedAtMs = clock.ticks();
    this.#sinceMs = this.#startedAtMs;
  }

  begin(lap: Lap): void {
    const nowMs = this.#clock.ticks();
    const before = this[this.#running];
    const ranMs = nowMs - this.#sinceMs;
    this[this.#running] = Number.isNaN(before) ? ranMs : before + ranMs;
    this.#running = lap;
    this.#sinceMs = nowMs;
  }

  /** Counts what has run so far, and returns the time since the start. */
  read(): number {
    this.begin(this.#running);
    return this.#sinceMs - this.#startedAtMs;
  }
}
