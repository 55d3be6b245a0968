import { type Clock, systemClock } from '../clock/clock.ts';
import { Askers } from './askers.ts';
import { HeldPermit, type PermitSource } from './heldPermit.ts';
import { Holdings } from './holdings.ts';
import {
  assertPermitsOptions,
  isPermit,
  type Permit,
  type Permits,
  type PermitsOptions,
  type Refusal,
  shareOf,
} from './permits.ts';

export interface SemaphoreOptions extends PermitsOptions {
  readonly clock?: Clock;
}

interface Waiter {
  readonly caller: string;
  readonly asker: string;
  readonly grant: (permit: Permit) => void;
}

/** A counting semaphore of one thread with a fair share for each caller. Several threads have `SharedSemaphore`. */
export class Semaphore implements Permits {
  readonly limit: number;
  readonly #queueLimit: number;
  /** Whether callers are told apart. */
  readonly #isFair: boolean;
  readonly #keepsRoom: boolean;
  readonly #clock: Clock;
  readonly #askers = new Askers();
  readonly #permits: Holdings;
  readonly #places: Holdings;
  /** In the order in which they came. */
  readonly #waiting = new Set<Waiter>();
  #held = 0;

  constructor(options: Readonly<SemaphoreOptions>) {
    const { limit, queue = 0, fairShare = 1, keepsRoom = false, clock = systemClock } = options;
    assertPermitsOptions(options);
    this.limit = limit;
    this.#queueLimit = queue;
    this.#isFair = fairShare < 1 && limit > 0;
    this.#keepsRoom = keepsRoom;
    this.#clock = clock;
    this.#permits = new Holdings(shareOf(limit, fairShare));
    this.#places = new Holdings(shareOf(queue, fairShare));
  }

  get held(): number {
    return this.#held;
  }

  get queues(): boolean {
    return this.#queueLimit > 0;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  tryAcquire(caller = '', asker = caller): Permit | Refusal {
    if (this.#isFair) this.#askers.note(asker, this.#clock.ticks());
    if (this.#isAboveShare(this.#permits, caller, asker)) return 'share';
    return this.#held < this.limit ? this.#grant(caller, asker) : 'full';
  }

  async acquire(signal: AbortSignal, caller = '', asker = caller): Promise<Permit | Refusal> {
    signal.throwIfAborted();
    const given = this.tryAcquire(caller, asker);
    if (isPermit(given) || this.#waiting.size >= this.#queueLimit) return given;
    return this.#isAboveShare(this.#places, caller, asker) ? 'share' : this.#wait(signal, caller, asker);
  }

  #wait(signal: AbortSignal, caller: string, asker: string): Promise<Permit> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#dequeue(waiter);
        reject(signal.reason);
      };
      const waiter: Waiter = {
        caller,
        asker,
        grant: (permit) => {
          signal.removeEventListener('abort', leave);
          resolve(permit);
        },
      };
      this.#waiting.add(waiter);
      if (this.#isFair) this.#places.add(caller);
      signal.addEventListener('abort', leave, { once: true });
    });
  }

  #dequeue(waiter: Waiter): void {
    this.#waiting.delete(waiter);
    if (this.#isFair) this.#places.remove(waiter.caller);
  }

  #grant(caller: string, asker: string): Permit {
    this.#held += 1;
    if (this.#isFair) this.#permits.add(caller);
    return new HeldPermit(this.#source, caller, asker);
  }

  readonly #source: PermitSource<string> = {
    giveBack: (caller) => {
      this.#held -= 1;
      if (this.#isFair) this.#permits.remove(caller);
      this.#serve();
    },
    move: (from, to, asker) => {
      if (!this.#isFair || from === to) return to;
      if (this.#isAboveShare(this.#permits, to, asker)) return undefined;
      this.#permits.remove(from);
      this.#permits.add(to);
      this.#serve();
      return to;
    },
  };

  /** Gives free permits to those who wait. Who has its share already is passed over, and keeps its place. */
  #serve(): void {
    if (this.#waiting.size === 0) return;
    for (const waiter of this.#waiting) {
      if (this.#held >= this.limit) return;
      const { caller, asker } = waiter;
      if (this.#isAboveShare(this.#permits, caller, asker)) continue;
      this.#dequeue(waiter);
      waiter.grant(this.#grant(caller, asker));
    }
  }

  #isAboveShare(holdings: Holdings, caller: string, asker: string): boolean {
    if (!this.#isFair || !holdings.hasShare(caller)) return false;
    return this.#keepsRoom || !this.#askers.isAlone(asker, this.#clock.ticks());
  }
}
