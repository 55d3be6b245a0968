import type { Clock } from '../../clock/clock.ts';
import { type PermitsOptions, shareOf } from '../../concurrency/permits.ts';
import type { Share } from '../cells.ts';
import { SharedAskers } from './sharedAskers.ts';
import { hashOf, Slots } from './slots.ts';

export interface SharedFairSharesOptions extends PermitsOptions {
  readonly share: Share;
  /** The first of the cells, of which there are `SharedFairShares.cellsFor`. */
  readonly first: number;
  readonly seed: number;
  readonly clock: Clock;
}

const SEED = 0;
const ASKERS = 1;
const SLOTS = ASKERS + SharedAskers.cells;

/** `FairShares` for several threads. A caller is a slot, see `Slots`. */
export class SharedFairShares {
  /** Otherwise all callers count as one, and nothing is written. */
  readonly areToldApart: boolean;
  readonly #keepsRoom: boolean;
  readonly #clock: Clock;
  readonly #seed: number;
  readonly #askers: SharedAskers;
  readonly #permits: Slots;
  readonly #places: Slots;

  constructor(options: Readonly<SharedFairSharesOptions>) {
    const { limit, queue = 0, fairShare = 1, keepsRoom = false, share, first, clock } = options;
    const { cells, threadNumber, threadCount } = share;
    this.areToldApart = fairShare < 1 && limit > 0;
    this.#keepsRoom = keepsRoom;
    this.#clock = clock;
    cells.replace(first + SEED, 0, options.seed);
    this.#seed = cells.get(first + SEED);
    this.#askers = new SharedAskers(cells, first + ASKERS, this.#seed);
    const permits = { first: first + SLOTS, limit, share: shareOf(limit, fairShare), threadNumber };
    const behind = permits.first + Slots.cellsFor(limit, threadCount);
    this.#permits = new Slots(cells, permits);
    this.#places = new Slots(cells, {
      first: behind,
      limit: queue,
      share: shareOf(queue, fairShare),
      threadNumber,
    });
  }

  static cellsFor({ limit, queue = 0, fairShare = 1 }: PermitsOptions, threadCount: number): number {
    if (fairShare === 1) return SLOTS;
    return SLOTS + Slots.cellsFor(limit, threadCount) + (queue > 0 ? Slots.cellsFor(queue, threadCount) : 0);
  }

  /** Remembers that somebody asks for a permit. */
  note(asker: string, nowMs?: number): void {
    if (this.areToldApart) this.#askers.note(asker, nowMs ?? this.#clock.ticks());
  }

  slotOf(caller: string): number {
    return this.areToldApart ? this.#permits.slotOf(hashOf(caller, this.#seed)) : 0;
  }

  /** Whether the slot may have one more permit: it has less than its share, or nobody but `asker` has asked lately. */
  allows(slot: number, asker: string): boolean {
    return !this.areToldApart || !this.#permits.hasShare(slot) || this.#mayHaveAll(asker);
  }

  add(slot: number): void {
    if (this.areToldApart) this.#permits.add(slot, 1);
  }

  remove(slot: number): void {
    if (this.areToldApart) this.#permits.add(slot, -1);
  }

  /** Counts a place in the queue for the caller, if it may have one more; whether it may. */
  takePlace(caller: string, asker: string): boolean {
    if (!this.areToldApart) return true;
    const slot = this.#placesOf(caller);
    if (this.#places.hasShare(slot) && !this.#mayHaveAll(asker)) return false;
    this.#places.add(slot, 1);
    return true;
  }

  leavePlace(caller: string): void {
    if (this.areToldApart) this.#places.add(this.#placesOf(caller), -1);
  }

  /** Takes back what a thread that has ended held. */
  leave(threadNumber: number, queues: boolean): void {
    if (!this.areToldApart) return;
    this.#permits.leave(threadNumber);
    if (queues) this.#places.leave(threadNumber);
  }

  #placesOf(caller: string): number {
    return this.#places.slotOf(hashOf(caller, this.#seed));
  }

  #mayHaveAll(asker: string): boolean {
    return !this.#keepsRoom && this.#askers.isAlone(asker, this.#clock.ticks());
  }
}
