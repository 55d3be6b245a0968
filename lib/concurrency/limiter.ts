import type { CellsSize, Share } from '../threads/cells.ts';
import { alone } from '../threads/ownCells.ts';

/** Gives a permit back. Safe to call twice: the second call does nothing. */
export type Release = () => void;

export interface LimiterOptions {
  /** Permits handed out at the same time; 0 refuses everybody. */
  readonly limit: number;
  /** Callers that may wait for a permit, first come first served; 0 (the default) refuses at once. */
  readonly queue?: number;
  /** This thread's part in a limit that holds for several, of `Limiter.sizeFor`. Default: it is alone. */
  readonly share?: Share;
}

interface Waiter {
  /** Rises with each that comes to wait, in whatever thread. */
  readonly ticket: number;
  readonly grant: (release: Release) => void;
}

const HELD = 0;
const WAITING = 1;
const TICKETS = 2;
const FIRST_SEAT = 3;
/** For each seat: permits it holds, callers that wait there for one, the first one's ticket, permits on their way. */
const [OWN, QUEUED, FIRST, GRANTED] = [0, 1, 2, 3];
const SEAT_CELLS = 4;

/**
 * A counting semaphore whose permits are values: who holds a release function holds a permit.
 *
 * The limit may hold for several threads: never more permits are out among all of them, and a permit given back in
 * one goes to whoever has waited longest, in whichever.
 */
export class Limiter {
  readonly limit: number;
  readonly #queueLimit: number;
  readonly #share: Share;
  readonly #own: number;
  readonly #waiting = new Set<Waiter>();
  #listening = false;

  constructor({ limit, queue = 0, share = alone(Limiter.sizeFor(1)) }: Readonly<LimiterOptions>) {
    assertWhole('limit', limit, 0);
    assertWhole('queue', queue, 0);
    this.limit = limit;
    this.#queueLimit = queue;
    this.#share = share;
    this.#own = cellOf(share.seat, OWN);
  }

  static sizeFor(seats: number): CellsSize {
    return { whole: FIRST_SEAT + seats * SEAT_CELLS };
  }

  /** Permits in use now, in all threads. */
  get held(): number {
    return this.#share.cells.get(HELD);
  }

  /** Whether anybody may wait for a permit at all. */
  get queues(): boolean {
    return this.#queueLimit > 0;
  }

  /** Callers waiting now, in all threads. */
  get waiting(): number {
    return this.#share.cells.get(WAITING);
  }

  /** A permit, or `undefined` when none is free. */
  tryAcquire(): Release | undefined {
    if (!this.#take()) return undefined;
    this.#share.cells.add(this.#own, 1);
    return this.#releaseOnce();
  }

  /**
   * A permit as soon as one is free, or `undefined` when limit and queue are full.
   * Rejects with the signal's reason when `signal` is aborted first; the place in the queue is free again then.
   */
  async acquire(signal: AbortSignal): Promise<Release | undefined> {
    signal.throwIfAborted();
    return this.tryAcquire() ?? this.#wait(signal);
  }

  /** Takes back what a thread that has ended held and waited for. */
  leave(seat: number): void {
    const { cells } = this.#share;
    cells.leave(seat);
    cells.exclusively(() => {
      cells.add(WAITING, -cells.get(cellOf(seat, QUEUED)));
      cells.add(HELD, -cells.get(cellOf(seat, OWN)));
      for (const kind of [OWN, QUEUED, GRANTED]) cells.set(cellOf(seat, kind), 0);
    });
    this.#serve();
  }

  #take(): boolean {
    const { cells } = this.#share;
    let held = cells.get(HELD);
    while (held < this.limit) {
      if (cells.replace(HELD, held, held + 1)) return true;
      held = cells.get(HELD);
    }
    return false;
  }

  #wait(signal: AbortSignal): Promise<Release> | undefined {
    const ticket = this.#enqueue();
    if (ticket === undefined) return undefined;
    const waiting = new Promise<Release>((resolve, reject) => {
      const leave = () => {
        this.#dequeue(waiter);
        reject(signal.reason);
      };
      const waiter: Waiter = {
        ticket,
        grant: (release) => {
          signal.removeEventListener('abort', leave);
          resolve(release);
        },
      };
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
    const { cells, seat } = this.#share;
    return cells.exclusively(() => {
      if (cells.get(WAITING) >= this.#queueLimit) return undefined;
      const ticket = cells.add(TICKETS, 1);
      if (this.#waiting.size === 0) cells.set(cellOf(seat, FIRST), ticket);
      cells.add(cellOf(seat, QUEUED), 1);
      cells.add(WAITING, 1);
      return ticket;
    });
  }

  #dequeue(waiter: Waiter): void {
    const { cells, seat } = this.#share;
    this.#waiting.delete(waiter);
    this.#tellFirst();
    cells.exclusively(() => {
      // None queued: a permit is on its way for this one, and will be passed on.
      if (cells.get(cellOf(seat, QUEUED)) === 0) return;
      cells.add(cellOf(seat, QUEUED), -1);
      cells.add(WAITING, -1);
    });
  }

  #releaseOnce(): Release {
    let released = false;
    return () => {
      if (released) return;
      released = true;
      this.#giveBack();
    };
  }

  #giveBack(): void {
    const { cells } = this.#share;
    if (cells.get(WAITING) > 0 && this.#passOn()) return;
    cells.add(this.#own, -1);
    cells.add(HELD, -1);
    // Somebody may have come to wait meanwhile.
    if (cells.get(WAITING) > 0) this.#serve();
  }

  /** Gives a permit of this thread to whoever waits longest; whether anybody did. */
  #passOn(): boolean {
    const { cells } = this.#share;
    const next = cells.exclusively(() => {
      const waits = this.#nextSeat();
      if (waits !== undefined) {
        cells.add(this.#own, -1);
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
    this.#share.cells.exclusively(() => {
      for (let next = this.#nextSeat(); next !== undefined && this.#take(); next = this.#nextSeat()) {
        this.#grantTo(next);
        served.push(next);
      }
    });
    this.#wake(served);
  }

  #grantTo(seat: number): void {
    const { cells } = this.#share;
    cells.add(cellOf(seat, OWN), 1);
    cells.add(cellOf(seat, QUEUED), -1);
    cells.add(WAITING, -1);
    cells.add(cellOf(seat, GRANTED), 1);
  }

  #wake(served: readonly number[]): void {
    const { cells, seat } = this.#share;
    for (const other of served) if (other !== seat) cells.wake(cellOf(other, GRANTED));
    if (served.includes(seat)) this.#collect();
  }

  /** Where the one waits who has waited longest. */
  #nextSeat(): number | undefined {
    const { cells, seats } = this.#share;
    let next: number | undefined;
    for (let seat = 0; seat < seats; seat += 1) {
      if (cells.get(cellOf(seat, QUEUED)) === 0) continue;
      if (next === undefined || isBefore(cells.get(cellOf(seat, FIRST)), cells.get(cellOf(next, FIRST)))) {
        next = seat;
      }
    }
    return next;
  }

  /** Hands the permits that have come for this thread to those who wait longest. */
  #collect(): void {
    const { cells, seat } = this.#share;
    const granted = cellOf(seat, GRANTED);
    while (cells.get(granted) > 0) {
      cells.add(granted, -1);
      const [next] = this.#waiting;
      if (next) this.#waiting.delete(next);
      this.#tellFirst();
      if (next) next.grant(this.#releaseOnce());
      else this.#giveBack();
    }
  }

  #tellFirst(): void {
    const { cells, seat } = this.#share;
    const [first] = this.#waiting;
    if (first) cells.set(cellOf(seat, FIRST), first.ticket);
  }

  /** Waits for permits from other threads, as long as somebody waits here. */
  async #listen(): Promise<void> {
    const { cells, seat, seats } = this.#share;
    if (this.#listening || seats === 1) return;
    this.#listening = true;
    while (this.#waiting.size > 0) {
      await cells.changed(cellOf(seat, GRANTED), 0);
      this.#collect();
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

function assertWhole(name: string, value: number, minimum: number): void {
  if (!Number.isSafeInteger(value) || value < minimum) {
    throw new RangeError(`Limiter: ${name} must be a whole number of at least ${minimum}, got ${value}`);
  }
}
