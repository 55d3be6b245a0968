import { randomInt } from 'node:crypto';
import type { Clock } from '../../clock/clock.ts';
import { threadsClock } from '../../clock/threadsClock.ts';
import { HeldPermit, type PermitIssuer } from '../../concurrency/heldPermit.ts';
import {
  assertPermitsOptions,
  isPermit,
  type Permit,
  type Permits,
  type PermitsOptions,
  type Refusal,
} from '../../concurrency/permits.ts';
import { Waiter } from '../../concurrency/waiter.ts';
import type { CellsSize, Share } from '../cells.ts';
import { PermitCells } from './permitCells.ts';
import { SharedFairShares } from './sharedFairShares.ts';

export interface SharedSemaphoreOptions extends PermitsOptions {
  /** This thread's part in what all threads share, made with `SharedSemaphore.sizeFor`. */
  readonly share: Share;
  /** Of the hash that tells callers apart, 1 or more; the first thread's counts. Default: random, known to no client. */
  readonly seed?: number;
  /** Its `ticks` must be the same in every thread. */
  readonly clock?: Clock;
}

const MAX_SEED = 2 ** 31 - 1;

/**
 * A semaphore for several threads: never more permits are held in all of them together, and a permit that is released in
 * one goes to the caller that has waited longest, in whichever thread, and that has not its share already.
 */
export class SharedSemaphore implements Permits, PermitIssuer<number> {
  readonly limit: number;
  readonly #queueLimit: number;
  readonly #share: Share;
  readonly #counts: PermitCells;
  readonly #shares: SharedFairShares;
  /** The callers of this thread with their tickets, in the order in which they came. */
  readonly #waiting = new Map<Waiter, number>();
  #isListening = false;

  constructor(options: Readonly<SharedSemaphoreOptions>) {
    const { limit, queue = 0, share, clock = threadsClock, seed = randomInt(1, MAX_SEED) } = options;
    assertPermitsOptions(options);
    this.limit = limit;
    this.#queueLimit = queue;
    this.#share = share;
    this.#counts = new PermitCells(share);
    this.#shares = new SharedFairShares({
      ...options,
      first: PermitCells.cellsFor(share.threadCount),
      clock,
      seed,
    });
  }

  static sizeFor(options: PermitsOptions): (threadCount: number) => CellsSize {
    return (threadCount) => ({
      whole: PermitCells.cellsFor(threadCount) + SharedFairShares.cellsFor(options, threadCount),
    });
  }

  get held(): number {
    return this.#counts.held;
  }

  get queues(): boolean {
    return this.#queueLimit > 0;
  }

  get waiting(): number {
    return this.#counts.waiting;
  }

  tryAcquire(caller = '', asker = caller, nowMs?: number): Permit | Refusal {
    this.#shares.note(asker, nowMs);
    const slot = this.#shares.slotOf(caller);
    if (!this.#shares.allows(slot, asker)) return 'share';
    if (!this.#counts.take(this.limit)) return 'full';
    this.#shares.add(slot);
    return new HeldPermit(this, slot, asker);
  }

  async acquire(signal: AbortSignal, caller = '', asker = caller): Promise<Permit | Refusal> {
    signal.throwIfAborted();
    const given = this.tryAcquire(caller, asker);
    if (isPermit(given) || !this.queues) return given;
    if (!this.#shares.takePlace(caller, asker)) return 'share';
    const ticket = this.#counts.enqueue(this.#queueLimit);
    if (ticket === undefined) {
      this.#shares.leavePlace(caller);
      return given;
    }
    const waiter = new Waiter({ caller, asker, signal, onLeave: (left) => this.#dequeue(left) });
    this.#waiting.set(waiter, ticket);
    // Another thread may have released one before it could see that somebody waits.
    this.#serveWaiting();
    this.#listen();
    return waiter.permit;
  }

  giveBack(slot: number): void {
    this.#shares.remove(slot);
    this.#giveBack();
  }

  move(from: number, caller: string, asker: string): number | undefined {
    const to = this.#shares.slotOf(caller);
    if (from === to) return to;
    if (!this.#shares.allows(to, asker)) return undefined;
    this.#shares.add(to);
    this.#shares.remove(from);
    if (this.waiting > 0) {
      this.#serveWaiting();
      this.#letOthersLook();
    }
    return to;
  }

  /** Takes back what a thread that has ended held and waited for. */
  leave(threadNumber: number): void {
    const { cells } = this.#share;
    cells.leave(threadNumber);
    cells.exclusively(() => {
      this.#counts.leave(threadNumber);
      this.#shares.leave(threadNumber, this.queues);
    });
    this.#serveWaiting();
    this.#letOthersLook();
  }

  #giveBack(): void {
    if (this.waiting > 0 && this.#passOn()) {
      this.#letOthersLook();
      return;
    }
    this.#counts.giveBack();
    // Somebody may have begun to wait meanwhile, or may have a permit now that this caller holds fewer.
    if (this.waiting === 0) return;
    this.#serveWaiting();
    this.#letOthersLook();
  }

  /** Gives a permit of this thread to the caller that has waited longest; whether anybody could have it. */
  #passOn(): boolean {
    const next = this.#share.cells.exclusively(() => {
      this.#publish();
      return this.#counts.passOn();
    });
    if (next !== undefined) this.#wake([next]);
    return next !== undefined;
  }

  /** Gives free permits to those who wait. */
  #serveWaiting(): void {
    const served = this.#share.cells.exclusively(() => {
      this.#publish();
      return this.#counts.grantFree(this.limit);
    });
    this.#wake(served);
  }

  #wake(served: readonly number[]): void {
    const { threadNumber } = this.#share;
    for (const other of served) if (other !== threadNumber) this.#counts.wake(other);
    if (served.includes(threadNumber)) this.#collect();
  }

  /** Callers that were passed over because they had their share may have a permit now. */
  #letOthersLook(): void {
    if (this.#shares.areToldApart) this.#counts.letOthersLook();
  }

  #publish(): void {
    const first = this.#firstReady();
    this.#counts.publish(first && this.#waiting.get(first));
  }

  /** The one who has waited longest here of those that may have a permit. */
  #firstReady(): Waiter | undefined {
    for (const waiter of this.#waiting.keys()) {
      if (this.#shares.allows(this.#shares.slotOf(waiter.caller), waiter.asker)) return waiter;
    }
    return undefined;
  }

  /** Hands the permits that were granted to this thread to those who have waited longest. */
  #collect(): void {
    while (this.#counts.collect()) {
      const next = this.#firstReady();
      if (next) this.#grant(next);
      else this.#giveBack();
    }
  }

  #grant(waiter: Waiter): void {
    const slot = this.#shares.slotOf(waiter.caller);
    this.#shares.add(slot);
    this.#dequeue(waiter);
    waiter.grant(new HeldPermit(this, slot, waiter.asker));
  }

  #dequeue(waiter: Waiter): void {
    this.#waiting.delete(waiter);
    this.#shares.leavePlace(waiter.caller);
    this.#share.cells.exclusively(() => {
      this.#counts.dequeue();
      this.#publish();
    });
  }

  /** Waits for permits from other threads, as long as somebody waits here. */
  async #listen(): Promise<void> {
    if (this.#isListening || this.#share.threadCount === 1) return;
    this.#isListening = true;
    for (;;) {
      const seen = this.#counts.events;
      this.#collect();
      if (this.#shares.areToldApart) this.#serveWaiting();
      if (this.#waiting.size === 0) break;
      await this.#counts.eventAfter(seen);
    }
    this.#isListening = false;
  }
}
