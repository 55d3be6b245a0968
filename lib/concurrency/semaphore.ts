import { FairShares, type FairSharesOptions } from './fairShares.ts';
import { HeldPermit, type PermitIssuer } from './heldPermit.ts';
import type { Holding } from './holdings.ts';
import { assertPermitsOptions, isPermit, type Permit, type Permits, type Refusal } from './permits.ts';
import { Waiter } from './waiter.ts';

export type SemaphoreOptions = FairSharesOptions;

/** A counting semaphore with a fair share for each caller. Threads that share a limit have `SharedSemaphore` instead. */
export class Semaphore implements Permits, PermitIssuer<Holding> {
  readonly limit: number;
  readonly #queueLimit: number;
  readonly #shares: FairShares;
  /** In the order in which they came. */
  readonly #waiting = new Set<Waiter>();
  #held = 0;

  constructor(options: Readonly<SemaphoreOptions>) {
    assertPermitsOptions(options);
    this.limit = options.limit;
    this.#queueLimit = options.queue ?? 0;
    this.#shares = new FairShares(options);
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

  tryAcquire(caller = '', asker = caller, nowMs?: number): Permit | Refusal {
    this.#shares.note(asker, nowMs);
    const holding = this.#shares.permitsOf(caller);
    if (!this.#shares.allows(holding, asker)) return 'share';
    return this.#held < this.limit ? this.#grant(holding, asker) : 'full';
  }

  async acquire(signal: AbortSignal, caller = '', asker = caller): Promise<Permit | Refusal> {
    signal.throwIfAborted();
    const given = this.tryAcquire(caller, asker);
    if (isPermit(given) || this.#waiting.size >= this.#queueLimit) return given;
    const places = this.#shares.placesOf(caller);
    if (!this.#shares.allows(places, asker)) return 'share';
    places.add();
    const waiter = new Waiter({ caller, asker, signal, onLeave: (left) => this.#dequeue(left) });
    this.#waiting.add(waiter);
    return waiter.permit;
  }

  giveBack(holding: Holding): void {
    this.#held -= 1;
    holding.remove();
    this.#serveWaiting();
  }

  move(from: Holding, caller: string, asker: string): Holding | undefined {
    const to = this.#shares.permitsOf(caller);
    if (to === from) return from;
    if (!this.#shares.allows(to, asker)) return undefined;
    from.remove();
    to.add();
    this.#serveWaiting();
    return to;
  }

  #grant(holding: Holding, asker: string): Permit {
    this.#held += 1;
    holding.add();
    return new HeldPermit(this, holding, asker);
  }

  /** Gives free permits to those who wait. A caller that has its share is passed over, and keeps its place. */
  #serveWaiting(): void {
    if (this.#waiting.size === 0) return;
    for (const waiter of this.#waiting) {
      if (this.#held >= this.limit) return;
      const holding = this.#shares.permitsOf(waiter.caller);
      if (!this.#shares.allows(holding, waiter.asker)) continue;
      this.#dequeue(waiter);
      waiter.grant(this.#grant(holding, waiter.asker));
    }
  }

  #dequeue(waiter: Waiter): void {
    this.#waiting.delete(waiter);
    this.#shares.placesOf(waiter.caller).remove();
  }
}
