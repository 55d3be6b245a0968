import type { Cancel, Clock } from '../../lib/clock/clock.ts';

interface Scheduled {
  readonly dueAtMs: number;
  readonly callback: () => void;
}

const A_DAY_MS = 86_400_000;

/** Timers that were set run out, and none of them sets another: nothing goes on. */
export function expectNoMoreTimers(clock: ManualClock): void {
  clock.advance(A_DAY_MS);
  if (clock.pending > 0) throw new Error(`${clock.pending} timers go on`);
}

/** A clock that stands still until a test moves it. */
export class ManualClock implements Clock {
  #nowMs: number;
  #jumpedMs = 0;
  readonly #scheduled = new Set<Scheduled>();

  constructor(nowMs = Date.now()) {
    this.#nowMs = nowMs;
  }

  /** How many timers are waiting: a test asserts that none is left behind. */
  get pending(): number {
    return this.#scheduled.size;
  }

  now(): number {
    return this.#nowMs + this.#jumpedMs;
  }

  ticks(): number {
    return this.#nowMs;
  }

  after(delayMs: number, callback: () => void): Cancel {
    const entry = { dueAtMs: this.#nowMs + delayMs, callback };
    this.#scheduled.add(entry);
    return () => this.#scheduled.delete(entry);
  }

  /** The wall clock is set, ahead or back; no time passes. */
  jump(ms: number): void {
    this.#jumpedMs += ms;
  }

  /** Moves time on, running what falls due in order, including what those callbacks schedule. */
  advance(ms: number): void {
    const untilMs = this.#nowMs + ms;
    for (let next = this.#nextDue(untilMs); next; next = this.#nextDue(untilMs)) {
      this.#scheduled.delete(next);
      this.#nowMs = next.dueAtMs;
      next.callback();
    }
    this.#nowMs = untilMs;
  }

  #nextDue(untilMs: number): Scheduled | undefined {
    let earliest: Scheduled | undefined;
    for (const entry of this.#scheduled) {
      if (entry.dueAtMs <= untilMs && (!earliest || entry.dueAtMs < earliest.dueAtMs)) earliest = entry;
    }
    return earliest;
  }
}
