import { type Clock, systemClock } from '../clock/clock.ts';
import { Askers } from './askers.ts';
import { HeldPermit, type PermitSource } from './heldPermit.ts';
import { type Holding, Holdings } from './holdings.ts';
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
  readonly place: Holding;
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
    const holding = this.#holdingOf(this.#permits, caller);
    if (this.#isAboveShare(this.#permits, holding, asker)) return 'share';
    return this.#held < this.limit ? this.#grant(holding, asker) : 'full';
  }

  async acquire(signal: AbortSignal, caller = '', asker = caller): Promise<Permit | Refusal> {
    signal.throwIfAborted();
    const given = this.tryAcquire(caller, asker);
    if (isPermit(given) || this.#waiting.size >= this.#queueLimit) return given;
    const place = this.#holdingOf(this.#places, caller);
    if (this.#isAboveShare(this.#places, place, asker)) return 'share';
    return this.#wait(signal, place, caller, asker);
  }

  #wait(signal: AbortSignal, place: Holding, caller: string, asker: string): Promise<Permit> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#dequeue(waiter);
        reject(signal.reason);
      };
      const waiter: Waiter = {
        place,
        caller,
        asker,
        grant: (permit) => {
          signal.removeEventListener('abort', leave);
          resolve(permit);
        },
      };
      this.#waiting.add(waiter);
      this.#places.add(place);
      signal.addEventListener('abort', leave, { once: true });
    });
  }

  #dequeue(waiter: Waiter): void {
    this.#waiting.delete(waiter);
    this.#places.remove(waiter.place);
  }

  #grant(holding: Holding, asker: string): Permit {
    this.#held += 1;
    this.#permits.add(holding);
    return new HeldPermit(this.#source, holding, asker);
  }

  readonly #source: PermitSource<Holding> = {
    giveBack: (holding) => {
      this.#held -= 1;
      this.#permits.remove(holding);
      this.#serve();
    },
    move: (from, caller, asker) => {
      if (!this.#isFair || from.caller === caller) return from;
      const to = this.#permits.of(caller);
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
      const holding = this.#holdingOf(this.#permits, caller);
      if (this.#isAboveShare(this.#permits, holding, asker)) continue;
      this.#dequeue(waiter);
      waiter.grant(this.#grant(holding, asker));
    }
  }

  /** Callers that are not told apart are one. */
  #holdingOf(holdings: Holdings, caller: string): Holding {
    return holdings.of(this.#isFair ? caller : '');
  }

  #isAboveShare(holdings: Holdings, holding: Holding, asker: string): boolean {
    if (!this.#isFair || !holdings.hasShare(holding)) return false;
    return this.#keepsRoom || !this.#askers.isAlone(asker, this.#clock.ticks());
  }
}
