import type { Clock } from '../../clock/clock.ts';
import type { ReplicaPool } from '../pool.ts';
import { HEDGE_BUDGET, Hedging } from './hedging.ts';
import { RetryBudget } from './retryBudget.ts';

export interface HedgingsOptions {
  readonly pool: ReplicaPool;
  readonly clock?: Clock;
}

/**
 * The hedging of one service, whose routes may have deadlines of their own: what two minutes are given for is not sent to a second
 * replica as early as what has three seconds, and is no measure for it. One budget is for all.
 */
export class Hedgings {
  readonly #options: HedgingsOptions;
  readonly #budget = new RetryBudget(HEDGE_BUDGET);
  readonly #byDeadline = new Map<number, Hedging>();

  constructor(options: Readonly<HedgingsOptions>) {
    this.#options = options;
  }

  /** The hedging of the requests that may wait for so long. */
  within(deadlineMs: number): Hedging {
    const known = this.#byDeadline.get(deadlineMs);
    if (known) return known;
    const hedging = new Hedging({ ...this.#options, deadlineMs, budget: this.#budget });
    this.#byDeadline.set(deadlineMs, hedging);
    return hedging;
  }

  /** Tells nobody any more. */
  dispose(): void {
    for (const hedging of this.#byDeadline.values()) hedging.dispose();
  }
}
