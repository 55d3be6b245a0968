import { type Clock, systemClock } from '../clock/clock.ts';
import { LastCaller } from '../util/lastCaller.ts';
import { type Holding, Holdings } from './holdings.ts';
import { ASKING_MS, type PermitsOptions, shareOf } from './permits.ts';

export interface FairSharesOptions extends PermitsOptions {
  readonly clock?: Clock | undefined;
}

/** What each caller holds of the permits and of the queue, and whether it may have more. */
export class FairShares {
  /** Otherwise all callers count as one. */
  readonly #areToldApart: boolean;
  readonly #keepsRoom: boolean;
  readonly #clock: Clock;
  readonly #permits: Holdings;
  readonly #places: Holdings;
  readonly #asked = new LastCaller();

  constructor(options: Readonly<FairSharesOptions>) {
    const { limit, queue = 0, fairShare = 1, keepsRoom = false, clock = systemClock } = options;
    this.#areToldApart = fairShare < 1 && limit > 0;
    this.#keepsRoom = keepsRoom;
    this.#clock = clock;
    this.#permits = new Holdings(shareOf(limit, fairShare));
    this.#places = new Holdings(shareOf(queue, fairShare));
  }

  /** Remembers that somebody asks for a permit. */
  note(asker: string, nowMs?: number): void {
    if (this.#areToldApart) this.#asked.add(asker, nowMs ?? this.#clock.ticks());
  }

  permitsOf(caller: string): Holding {
    return this.#permits.of(this.#areToldApart ? caller : '');
  }

  /** Its places in the queue. */
  placesOf(caller: string): Holding {
    return this.#places.of(this.#areToldApart ? caller : '');
  }

  /** Whether the caller may have one more: it has less than its share, or nobody but `asker` has asked lately. */
  allows(holding: Holding, asker: string): boolean {
    if (!this.#areToldApart || !holding.hasShare) return true;
    return !this.#keepsRoom && !this.#asked.sawAnother(asker, this.#clock.ticks() - ASKING_MS);
  }
}
