import type { Socket } from 'node:net';
import type { Clock } from '../../../lib/clock/clock.ts';

/** Tells whether a client's connection is too old, counted from its first request. */
export class ConnectionAge {
  readonly #maxAgeMs: number;
  readonly #clock: Clock;
  /** Time of the first request, by the clock's `ticks`. */
  readonly #since = new WeakMap<Socket, number>();

  constructor(maxAgeMs: number, clock: Clock) {
    this.#maxAgeMs = maxAgeMs;
    this.#clock = clock;
  }

  /** To be called with each request: the first call begins the connection's time. */
  isOver(socket: Socket): boolean {
    const nowMs = this.#clock.ticks();
    const sinceMs = this.#since.get(socket);
    if (sinceMs === undefined) this.#since.set(socket, nowMs);
    return sinceMs !== undefined && nowMs - sinceMs >= this.#maxAgeMs;
  }
}
