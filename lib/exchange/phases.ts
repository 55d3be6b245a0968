import { type Clock, systemClock } from '../clock/clock.ts';

/** What a request may spend its time on; `other` is everything that no log field or metric shows. */
export type Phase = 'other' | 'permit' | 'auth' | 'cache' | 'upstream' | 'response';

/**
 * How long each phase of one request takes, in milliseconds. One phase runs at a time: beginning one ends the one before.
 * A phase that runs several times adds up; one that never ran is NaN.
 */
export class Phases {
  /** Waiting for a permit of the concurrency limits. */
  permit = Number.NaN;
  auth = Number.NaN;
  /** Looking for a stored response, including the wait for a response that another request has asked for. */
  cache = Number.NaN;
  /** From the choice of a replica to the first byte of the response, failed tries included. */
  upstream = Number.NaN;
  /** From the first byte of the response to the last. */
  response = Number.NaN;
  other = Number.NaN;
  readonly #clock: Clock;
  readonly #startedAtMs: number;
  #running: Phase = 'other';
  #sinceMs: number;

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
    this.#startedAtMs = clock.ticks();
    this.#sinceMs = this.#startedAtMs;
  }

  begin(phase: Phase): void {
    const nowMs = this.#clock.ticks();
    const before = this[this.#running];
    const ranMs = nowMs - this.#sinceMs;
    this[this.#running] = Number.isNaN(before) ? ranMs : before + ranMs;
    this.#running = phase;
    this.#sinceMs = nowMs;
  }

  /** Adds what the running phase has taken so far, and returns the time since the start. */
  read(): number {
    this.begin(this.#running);
    return this.#sinceMs - this.#startedAtMs;
  }
}
