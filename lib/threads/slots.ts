import type { Cells } from './cells.ts';

/** Slots for each of what is limited, and bounds of their number: two callers seldom share one. */
const SLOTS_EACH = 4;
const MIN_SLOTS = 256;
const MAX_SLOTS = 1024;

/**
 * How many of something each caller holds, in cells that several threads share. A caller is a slot, by a hash whose seed
 * no client knows. Two callers that fall into one slot are counted together, so that a share may look smaller than it
 * is, and never larger.
 */
export class Slots {
  readonly #cells: Cells;
  readonly #most: number;
  readonly #count: number;
  /** The sums of all threads, and behind them for each thread its own. */
  readonly #sums: number;
  readonly #own: number;

  /**
   * @param first of the cells, of which there are `cellsFor(limit, seats)`
   * @param most how many one caller may hold while others ask
   */
  constructor(cells: Cells, { first, limit, most, seat }: SlotsOptions) {
    this.#cells = cells;
    this.#most = most;
    this.#count = slotsFor(limit);
    this.#sums = first;
    this.#own = first + (1 + seat) * this.#count;
  }

  static cellsFor(limit: number, seats: number): number {
    return slotsFor(limit) * (1 + seats);
  }

  /** @param hash of the caller */
  slotOf(hash: number): number {
    return hash & (this.#count - 1);
  }

  hasShare(slot: number): boolean {
    return this.#cells.get(this.#sums + slot) >= this.#most;
  }

  add(slot: number, amount: number): void {
    this.#cells.add(this.#own + slot, amount);
    this.#cells.add(this.#sums + slot, amount);
  }

  /** Takes back what a thread that has ended held. */
  leave(seat: number): void {
    const first = this.#sums + (1 + seat) * this.#count;
    for (let slot = 0; slot < this.#count; slot += 1) {
      const left = this.#cells.get(first + slot);
      if (left === 0) continue;
      this.#cells.set(first + slot, 0);
      this.#cells.add(this.#sums + slot, -left);
    }
  }
}

export interface SlotsOptions {
  readonly first: number;
  readonly limit: number;
  readonly most: number;
  readonly seat: number;
}

function slotsFor(limit: number): number {
  return Math.min(MAX_SLOTS, 2 ** Math.ceil(Math.log2(Math.max(MIN_SLOTS, limit * SLOTS_EACH))));
}

/** FNV-1a over the characters of `text`, in 32 bits. */
export function hashOf(text: string, seed: number): number {
  let hash = seed;
  for (let i = 0; i < text.length; i += 1) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  // What was mixed in last has reached the low bits only.
  return (hash ^ (hash >>> 15)) | 0;
}
