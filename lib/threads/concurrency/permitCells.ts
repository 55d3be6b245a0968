import type { Share } from '../cells.ts';

const HELD = 0;
const WAITING = 1;
const TICKETS = 2;
const FIRST_THREAD = 3;
/**
 * For each thread: permits it holds, callers that wait there, whether one of them may have a permit and that one's ticket,
 * permits on their way to it, and a number that changes with each event the thread is woken for.
 */
const [OWN, QUEUED, READY, FIRST, GRANTED, EVENTS] = [0, 1, 2, 3, 4, 5];
const THREAD_CELLS = 6;

/**
 * How many permits the threads hold, and in which of them somebody waits for one. Taking a permit and giving it back is
 * lock-free; what has to do with the queue is done under the lock of the cells.
 */
export class PermitCells {
  readonly #share: Share;

  constructor(share: Share) {
    this.#share = share;
  }

  static cellsFor(threadCount: number): number {
    return FIRST_THREAD + threadCount * THREAD_CELLS;
  }

  /** In all threads. */
  get held(): number {
    return this.#share.cells.get(HELD);
  }

  /** In all threads. */
  get waiting(): number {
    return this.#share.cells.get(WAITING);
  }

  /** Takes a permit for this thread if one is free; whether it did. */
  take(limit: number): boolean {
    if (!this.#takeAny(limit)) return false;
    this.#add(OWN, 1);
    return true;
  }

  /** Gives a permit of this thread back. */
  giveBack(): void {
    this.#add(OWN, -1);
    this.#share.cells.add(HELD, -1);
  }

  /** Gives a permit of this thread to the caller that has waited longest; the thread where that waits, if anybody does. */
  passOn(): number | undefined {
    const next = this.#nextThread();
    if (next === undefined) return undefined;
    this.#add(OWN, -1);
    this.#grantTo(next);
    return next;
  }

  /** Gives all free permits to callers that wait; the threads where those wait. */
  grantFree(limit: number): readonly number[] {
    const served: number[] = [];
    for (
      let next = this.#nextThread();
      next !== undefined && this.#takeAny(limit);
      next = this.#nextThread()
    ) {
      this.#grantTo(next);
      served.push(next);
    }
    return served;
  }

  /** Takes one of the permits that have been granted to this thread; whether there was one. */
  collect(): boolean {
    const { cells, threadNumber } = this.#share;
    if (cells.get(cellOf(threadNumber, GRANTED)) === 0) return false;
    this.#add(GRANTED, -1);
    return true;
  }

  /** Takes a place in the queue. Returns a ticket that rises with each one, or `undefined` when the queue is full. */
  enqueue(limit: number): number | undefined {
    const { cells } = this.#share;
    return cells.exclusively(() => {
      if (cells.get(WAITING) >= limit) return undefined;
      this.#add(QUEUED, 1);
      cells.add(WAITING, 1);
      return cells.add(TICKETS, 1);
    });
  }

  dequeue(): void {
    this.#add(QUEUED, -1);
    this.#share.cells.add(WAITING, -1);
  }

  /** Tells the other threads the ticket of the caller here that may have the next permit; `undefined`: none may. */
  publish(ticket: number | undefined): void {
    const { cells, threadNumber } = this.#share;
    cells.set(cellOf(threadNumber, READY), ticket === undefined ? 0 : 1);
    if (ticket !== undefined) cells.set(cellOf(threadNumber, FIRST), ticket);
  }

  wake(other: number): void {
    this.#share.cells.wake(cellOf(other, EVENTS));
  }

  /** Wakes the threads whose callers could have no permit when they last looked, because they may now. */
  letOthersLook(): void {
    const { cells, threadNumber, threadCount } = this.#share;
    for (let other = 0; other < threadCount; other += 1) {
      if (other === threadNumber || cells.get(cellOf(other, QUEUED)) === 0) continue;
      if (cells.get(cellOf(other, READY)) === 1) continue;
      cells.add(cellOf(other, EVENTS), 1);
      this.wake(other);
    }
  }

  /** Changes with each event for this thread. */
  get events(): number {
    return this.#share.cells.get(cellOf(this.#share.threadNumber, EVENTS));
  }

  /** Resolves once there was an event after those that were `seen`. */
  eventAfter(seen: number): Promise<void> {
    return this.#share.cells.changed(cellOf(this.#share.threadNumber, EVENTS), seen);
  }

  /** Takes back what a thread that has ended held and waited for. */
  leave(threadNumber: number): void {
    const { cells } = this.#share;
    cells.add(WAITING, -cells.get(cellOf(threadNumber, QUEUED)));
    cells.add(HELD, -cells.get(cellOf(threadNumber, OWN)));
    for (const kind of [OWN, QUEUED, READY, GRANTED]) cells.set(cellOf(threadNumber, kind), 0);
  }

  #takeAny(limit: number): boolean {
    const { cells } = this.#share;
    let held = cells.get(HELD);
    while (held < limit) {
      if (cells.replace(HELD, held, held + 1)) return true;
      held = cells.get(HELD);
    }
    return false;
  }

  #grantTo(threadNumber: number): void {
    const { cells } = this.#share;
    for (const kind of [OWN, GRANTED, EVENTS]) cells.add(cellOf(threadNumber, kind), 1);
  }

  /** Where the caller waits that has waited longest of those that may have a permit. */
  #nextThread(): number | undefined {
    const { cells, threadCount } = this.#share;
    let next: number | undefined;
    for (let threadNumber = 0; threadNumber < threadCount; threadNumber += 1) {
      if (cells.get(cellOf(threadNumber, READY)) === 0) continue;
      if (cells.get(cellOf(threadNumber, QUEUED)) <= cells.get(cellOf(threadNumber, GRANTED))) continue;
      if (
        next === undefined ||
        isBefore(cells.get(cellOf(threadNumber, FIRST)), cells.get(cellOf(next, FIRST)))
      ) {
        next = threadNumber;
      }
    }
    return next;
  }

  #add(kind: number, amount: number): void {
    this.#share.cells.add(cellOf(this.#share.threadNumber, kind), amount);
  }
}

function cellOf(threadNumber: number, kind: number): number {
  return FIRST_THREAD + threadNumber * THREAD_CELLS + kind;
}

/** Tickets start over after 2^32. */
function isBefore(ticket: number, other: number): boolean {
  return ((ticket - other) | 0) < 0;
}
