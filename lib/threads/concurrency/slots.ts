import { fnv1a, spread } from '../../util/hash.ts';
import type { Cells } from '../cells.ts';

/** How many slots there are for each permit, and the bounds of their number: two callers seldom share one. */
const SLOTS_EACH = 4;
const MIN_SLOTS = 256;
const MAX_SLOTS = 1024;

/**
 * `Holdings` in cells that several threads share: how many of something each caller holds. A caller is a slot, by a hash
 * whose seed no client knows. Two callers that fall into one slot are counted together, so a share may look smaller than
 * it is, and never larger.
 */
export class Slots {
  readonly #cells: Cells;
  readonly #share: number;
  readonly #count: number;
  /** The sums of all threads, and behind them for each thread its own. */
  readonly #sums: number;
  readonly #own: number;

  /**
   * @param first the first of the cells, of which there are `cellsFor(limit, threadCount)`
   * @param share how many one caller may hold while others ask
   */
  constructor(cells: Cells, { first, limit, share, threadNumber }: SlotsOptions) {
    this.#cells = cells;
    this.#share = share;
    this.#count = slotsFor(limit);
    this.#sums = first;
    this.#own = first + (1 + threadNumber) * this.#count;
  }

  static cellsFor(limit: number, threadCount: number): number {
    return slotsFor(limit) * (1 + threadCount);
  }

  /** @param hash of the caller */
  slotOf(hash: number): number {
    return hash & (this.#count - 1);
  }

  hasShare(slot: number): boolean {
    return this.#cells.get(this.#sums + slot) >= this.#share;
  }

  add(slot: number, amount: number): void {
    this.#cells.addOwn(this.#own + slot, amount);
    this.#cells.add(this.#sums + slot, amount);
  }

  /** Takes back what a thread that has ended held. */
  leave(threadNumber: number): void {
    const first = this.#sums + (1 + threadNumber) * this.#count;
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
  readonly share: number;
  readonly threadNumber: number;
}

function slotsFor(limit: number): number {
  return Math.min(MAX_SLOTS, 2 ** Math.ceil(Math.log2(Math.max(MIN_SLOTS, limit * SLOTS_EACH))));
}

/** A number of 32 bits for a caller. */
export function hashOf(caller: string, seed: number): number {
  return spread(fnv1a(caller, seed)) | 0;
}
