import { ASKING_MS } from '../../concurrency/permits.ts';
import type { Cells } from '../cells.ts';
import { hashOf } from './slots.ts';

/** Who asked last, when, and when somebody else did last. */
const [LAST, LAST_AT, OTHERS_AT] = [0, 1, 2];
/** A time that is younger is not written again: the lock costs more than the second is worth. */
const FRESH_MS = 1_000;
/** The end of a long credential tells it from others. */
const MAX_CHARACTERS = 64;

/**
 * Remembers for several threads who asked last, to the second: somebody who has asked counts for ten to eleven seconds.
 * Two askers of one 32-bit hash pass for one; its seed is known to no client.
 */
export class SharedAskers {
  static readonly cells = 3;
  readonly #cells: Cells;
  readonly #first: number;
  readonly #seed: number;

  constructor(cells: Cells, first: number, seed: number) {
    this.#cells = cells;
    this.#first = first;
    this.#seed = seed;
  }

  note(asker: string, nowMs: number): void {
    const now = asCell(nowMs);
    const isFresh = this.#age(LAST_AT, now) < FRESH_MS;
    if (isFresh && this.#age(OTHERS_AT, now) < FRESH_MS) return;
    const who = this.#nameOf(asker);
    if (isFresh && this.#cells.get(this.#first + LAST) === who) return;
    this.#cells.exclusively(() => {
      const cells = this.#cells;
      if (cells.get(this.#first + LAST) !== who) {
        cells.set(this.#first + OTHERS_AT, cells.get(this.#first + LAST_AT));
        cells.set(this.#first + LAST, who);
      }
      cells.set(this.#first + LAST_AT, now);
    });
  }

  isAlone(asker: string, nowMs: number): boolean {
    const isLast = this.#cells.get(this.#first + LAST) === this.#nameOf(asker);
    return this.#age(isLast ? OTHERS_AT : LAST_AT, asCell(nowMs)) >= ASKING_MS + FRESH_MS;
  }

  #nameOf(asker: string): number {
    return hashOf(asker.length > MAX_CHARACTERS ? asker.slice(-MAX_CHARACTERS) : asker, this.#seed);
  }

  #age(cell: number, now: number): number {
    const atMs = this.#cells.get(this.#first + cell);
    const age = (now - atMs) | 0;
    // 0 is no time; one that looks as if it were to come is 25 days old.
    return atMs === 0 || age < 0 ? Number.POSITIVE_INFINITY : age;
  }
}

/** Starts over after 2^32 ms. */
function asCell(ms: number): number {
  return ms | 0 || 1;
}
