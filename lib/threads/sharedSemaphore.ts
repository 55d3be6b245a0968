import { randomInt } from 'node:crypto';
import type { Clock } from '../clock/clock.ts';
import { threadsClock } from '../clock/threadsClock.ts';
import { HeldPermit, type PermitSource } from '../concurrency/heldPermit.ts';
import {
  assertPermitsOptions,
  isPermit,
  type Permit,
  type Permits,
  type PermitsOptions,
  type Refusal,
  shareOf,
} from '../concurrency/permits.ts';
import type { Cells, CellsSize, Share } from './cells.ts';
import { SharedAskers } from './sharedAskers.ts';
import { hashOf, Slots } from './slots.ts';

export interface SharedSemaphoreOptions extends PermitsOptions {
  /** This thread's part in what all threads share, made with `SharedSemaphore.sizeFor`. */
  readonly share: Share;
  /** Of the hash that tells callers apart, 1 or more; the first thread's counts. Default: random, known to no client. */
  readonly seed?: number;
  /** Its `ticks` must be the same in every thread. */
  readonly clock?: Clock;
}

interface Waiter {
  /** Rises with each that comes to wait, in whatever thread. */
  readonly ticket: number;
  readonly caller: string;
  readonly asker: string;
  readonly grant: (permit: Permit) => void;
}

const HELD = 0;
const WAITING = 1;
const TICKETS = 2;
const SEED = 3;
const ASKERS = 4;
const FIRST_SEAT = ASKERS + SharedAskers.cells;
/**
 * For each seat: permits it holds, callers that wait there, whether one of them may have a permit and that one's ticket,
 * permits on their way, and a number that changes with each event the seat is woken for.
 */
const [OWN, QUEUED, READY, FIRST, GRANTED, EVENTS] = [0, 1, 2, 3, 4, 5];
const SEAT_CELLS = 6;
const MAX_SEED = 2 ** 31 - 1;

/**
 * A semaphore that holds for several threads: never more permits are out among all of them, and a permit given back in
 * one goes to whoever has waited longest, in whichever, and has not its share already.
 *
 * Taking a permit and giving it back is lock-free; what has to do with the queue is done under a lock.
 */
export class SharedSemaphore implements Permits {
  readonly limit: number;
  readonly #queueLimit: number;
  readonly #isFair: boolean;
  readonly #keepsRoom: boolean;
  readonly #clock: Clock;
  readonly #share: Share;
  readonly #seed: number;
  readonly #askers: SharedAskers;
  readonly #permits: Slots;
  readonly #places: Slots;
  /** Those of this thread, in the order in which they came. */
  readonly #waiting = new Set<Waiter>();
  #listening = false;

  constructor(options: Readonly<SharedSemaphoreOptions>) {
    const { limit, queue = 0, fairShare = 1, share, clock = threadsClock } = options;
    const { seed = randomInt(1, MAX_SEED) } = options;
    const { cells, seat, seats } = share;
    assertPermitsOptions(options);
    this.limit = limit;
    this.#queueLimit = queue;
    this.#isFair = fairShare < 1 && limit > 0;
    this.#keepsRoom = options.keepsRoom ?? false;
    this.#clock = clock;
    this.#share = share;
    cells.replace(SEED, 0, seed);
    this.#seed = cells.get(SEED);
    this.#askers = new SharedAskers(cells, ASKERS, this.#seed);
    const first = cellOf(seats, 0);
    this.#permits = new Slots(cells, { first, limit, most: shareOf(limit, fairShare), seat });
    const behind = first + Slots.cellsFor(limit, seats);
    this.#places = new Slots(cells, { first: behind, limit: queue, most: shareOf(queue, fairShare), seat });
  }

  static sizeFor({ limit, queue = 0, fairShare = 1 }: PermitsOptions): (seats: number) => CellsSize {
    return (seats) => {
      const slots = Slots.cellsFor(limit, seats) + (queue > 0 ? Slots.cellsFor(queue, seats) : 0);
      return { whole: cellOf(seats, 0) + (fairShare < 1 ? slots : 0) };
    };
  }

  get held(): number {
    return this.#cells.get(HELD);
  }

  get queues(): boolean {
    return this.#queueLimit > 0;
  }

  get waiting(): number {
    return this.#cells.get(WAITING);
  }

  tryAcquire(caller = '', asker = caller): Permit | Refusal {
    if (this.#isFair) this.#askers.note(asker, this.#clock.ticks());
    const slot = this.#slotOf(this.#permits, caller);
    if (!this.#takeShare(this.#permits, slot, asker)) return 'share';
    if (this.#take()) {
      this.#cells.add(this.#own(OWN), 1);
      return new HeldPermit(this.#source, slot, asker);
    }
    this.#giveShare(this.#permits, slot);
    return 'full';
  }

  async acquire(signal: AbortSignal, caller = '', asker = caller): Promise<Permit | Refusal> {
    signal.throwIfAborted();
    const given = this.tryAcquire(caller, asker);
    if (isPermit(given) || !this.queues) return given;
    const slot = this.#slotOf(this.#places, caller);
    if (!this.#takeShare(this.#places, slot, asker)) return 'share';
    const ticket = this.#enqueue();
    if (ticket !== undefined) return this.#wait(signal, ticket, caller, asker);
    this.#giveShare(this.#places, slot);
    return given;
  }

  /** Takes back what a thread that has ended held and waited for. */
  leave(seat: number): void {
    const cells = this.#cells;
    cells.leave(seat);
    cells.exclusively(() => {
      cells.add(WAITING, -cells.get(cellOf(seat, QUEUED)));
      cells.add(HELD, -cells.get(cellOf(seat, OWN)));
      for (const kind of [OWN, QUEUED, READY, GRANTED]) cells.set(cellOf(seat, kind), 0);
      if (!this.#isFair) return;
      this.#permits.leave(seat);
      if (this.queues) this.#places.leave(seat);
    });
    this.#serve();
    this.#letOthersLook();
  }

  get #cells(): Cells {
    return this.#share.cells;
  }

  #own(kind: number): number {
    return cellOf(this.#share.seat, kind);
  }

  #take(): boolean {
    const cells = this.#cells;
    let held = cells.get(HELD);
    while (held < this.limit) {
      if (cells.replace(HELD, held, held + 1)) return true;
      held = cells.get(HELD);
    }
    return false;
  }

  readonly #source: PermitSource<number> = {
    giveBack: (slot) => {
      this.#giveShare(this.#permits, slot);
      this.#giveBack();
    },
    move: (from, caller, asker) => {
      const to = this.#slotOf(this.#permits, caller);
      if (from === to) return to;
      if (!this.#takeShare(this.#permits, to, asker)) return undefined;
      this.#giveShare(this.#permits, from);
      if (this.waiting > 0) {
        this.#serve();
        this.#letOthersLook();
      }
      return to;
    },
  };

  #slotOf(slots: Slots, caller: string): number {
    return this.#isFair ? slots.slotOf(hashOf(caller, this.#seed)) : 0;
  }

  #takeShare(slots: Slots, slot: number, asker: string): boolean {
    if (!this.#isFair) return true;
    if (slots.hasShare(slot) && !this.#mayHaveAll(asker)) return false;
    slots.add(slot, 1);
    return true;
  }

  #mayHaveAll(asker: string): boolean {
    return !this.#keepsRoom && this.#askers.isAlone(asker, this.#clock.ticks());
  }

  #giveShare(slots: Slots, slot: number): void {
    if (this.#isFair) slots.add(slot, -1);
  }

  #wait(signal: AbortSignal, ticket: number, caller: string, asker: string): Promise<Permit> {
    const waiting = new Promise<Permit>((resolve, reject) => {
      const leave = () => {
        this.#dequeue(waiter);
        reject(signal.reason);
      };
      const grant = (permit: Permit) => {
        signal.removeEventListener('abort', leave);
        resolve(permit);
      };
      const waiter: Waiter = { ticket, caller, asker, grant };
      this.#waiting.add(waiter);
      signal.addEventListener('abort', leave, { once: true });
    });
    // Another thread may have given one back before it could see that somebody waits.
    this.#serve();
    this.#listen();
    return waiting;
  }

  /** A place in the queue, or `undefined` when that is full. */
  #enqueue(): number | undefined {
    const cells = this.#cells;
    return cells.exclusively(() => {
      if (cells.get(WAITING) >= this.#queueLimit) return undefined;
      cells.add(this.#own(QUEUED), 1);
      cells.add(WAITING, 1);
      return cells.add(TICKETS, 1);
    });
  }

  #dequeue(waiter: Waiter): void {
    const cells = this.#cells;
    this.#waiting.delete(waiter);
    this.#giveShare(this.#places, this.#slotOf(this.#places, waiter.caller));
    cells.exclusively(() => {
      cells.add(this.#own(QUEUED), -1);
      cells.add(WAITING, -1);
      this.#publish();
    });
  }

  #giveBack(): void {
    const cells = this.#cells;
    if (this.waiting > 0 && this.#passOn()) {
      this.#letOthersLook();
      return;
    }
    cells.add(this.#own(OWN), -1);
    cells.add(HELD, -1);
    // Somebody may have come to wait meanwhile, or may have his permit now that this caller holds fewer.
    if (this.waiting === 0) return;
    this.#serve();
    this.#letOthersLook();
  }

  /** Gives a permit of this thread to whoever waits longest; whether anybody could have it. */
  #passOn(): boolean {
    const cells = this.#cells;
    const next = cells.exclusively(() => {
      this.#publish();
      const waits = this.#nextSeat();
      if (waits !== undefined) {
        cells.add(this.#own(OWN), -1);
        this.#grantTo(waits);
      }
      return waits;
    });
    if (next !== undefined) this.#wake([next]);
    return next !== undefined;
  }

  /** Gives free permits to those who wait. */
  #serve(): void {
    const served: number[] = [];
    this.#cells.exclusively(() => {
      this.#publish();
      for (let next = this.#nextSeat(); next !== undefined && this.#take(); next = this.#nextSeat()) {
        this.#grantTo(next);
        served.push(next);
      }
    });
    this.#wake(served);
  }

  #grantTo(seat: number): void {
    const cells = this.#cells;
    cells.add(cellOf(seat, OWN), 1);
    cells.add(cellOf(seat, GRANTED), 1);
    cells.add(cellOf(seat, EVENTS), 1);
  }

  #wake(served: readonly number[]): void {
    const { cells, seat } = this.#share;
    for (const other of served) if (other !== seat) cells.wake(cellOf(other, EVENTS));
    if (served.includes(seat)) this.#collect();
  }

  /** Wakes those threads whose callers could have no permit when they last looked: they may now. */
  #letOthersLook(): void {
    const { cells, seat, seats } = this.#share;
    if (!this.#isFair || seats === 1) return;
    for (let other = 0; other < seats; other += 1) {
      if (other === seat || cells.get(cellOf(other, QUEUED)) === 0) continue;
      if (cells.get(cellOf(other, READY)) === 1) continue;
      cells.add(cellOf(other, EVENTS), 1);
      cells.wake(cellOf(other, EVENTS));
    }
  }

  /** Where the one waits who has waited longest of those that may have a permit. */
  #nextSeat(): number | undefined {
    const { cells, seats } = this.#share;
    let next: number | undefined;
    for (let seat = 0; seat < seats; seat += 1) {
      if (cells.get(cellOf(seat, READY)) === 0) continue;
      if (cells.get(cellOf(seat, QUEUED)) <= cells.get(cellOf(seat, GRANTED))) continue;
      if (next === undefined || isBefore(cells.get(cellOf(seat, FIRST)), cells.get(cellOf(next, FIRST)))) {
        next = seat;
      }
    }
    return next;
  }

  /** Tells the other threads who of this one may have the next permit. */
  #publish(): void {
    const first = this.#firstReady();
    this.#cells.set(this.#own(READY), first ? 1 : 0);
    if (first) this.#cells.set(this.#own(FIRST), first.ticket);
  }

  #firstReady(): Waiter | undefined {
    for (const waiter of this.#waiting) {
      const slot = this.#slotOf(this.#permits, waiter.caller);
      if (!this.#isFair || !this.#permits.hasShare(slot)) return waiter;
      if (this.#mayHaveAll(waiter.asker)) return waiter;
    }
    return undefined;
  }

  /** Hands the permits that have come for this thread to those who wait longest. */
  #collect(): void {
    const cells = this.#cells;
    const granted = this.#own(GRANTED);
    while (cells.get(granted) > 0) {
      cells.add(granted, -1);
      const next = this.#firstReady();
      if (next) this.#admit(next);
      else this.#giveBack();
    }
  }

  #admit(waiter: Waiter): void {
    const slot = this.#slotOf(this.#permits, waiter.caller);
    if (this.#isFair) this.#permits.add(slot, 1);
    this.#dequeue(waiter);
    waiter.grant(new HeldPermit(this.#source, slot, waiter.asker));
  }

  /** Waits for permits from other threads, as long as somebody waits here. */
  async #listen(): Promise<void> {
    const { cells, seats } = this.#share;
    if (this.#listening || seats === 1) return;
    this.#listening = true;
    for (;;) {
      const seen = cells.get(this.#own(EVENTS));
      this.#collect();
      if (this.#isFair) this.#serve();
      if (this.#waiting.size === 0) break;
      await cells.changed(this.#own(EVENTS), seen);
    }
    this.#listening = false;
  }
}

function cellOf(seat: number, kind: number): number {
  return FIRST_SEAT + seat * SEAT_CELLS + kind;
}

/** Tickets start over after 2^32. */
function isBefore(ticket: number, other: number): boolean {
  return ((ticket - other) | 0) < 0;
}
