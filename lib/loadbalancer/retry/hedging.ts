import { type Clock, systemClock } from '../../clock/clock.ts';
import type { Attempt } from '../../exchange/attempt.ts';
import { Deadlines, type Waiting } from '../../timeout/deadlines.ts';
import type { Place } from '../../util/linkedSet.ts';
import type { ReplicaPool } from '../pool.ts';
import type { Replica } from '../replica.ts';
import { RecentLatency } from './recentLatency.ts';
import { RetryBudget } from './retryBudget.ts';

/** No hedge before this part of the deadline has passed. */
const HEDGE_AFTER = 0.5;
/** A request that was not hedged, because no other replica was better off, is looked at again after this part of it. */
const LOOK_AGAIN = 0.1;
/** The part of all requests that may be hedged, and how many more in the beginning. */
export const HEDGE_BUDGET = { perRequest: 0.05, reserve: 10 };

export interface HedgingOptions {
  readonly pool: ReplicaPool;
  /** How long these requests may wait for their response. */
  readonly deadlineMs: number;
  readonly budget?: RetryBudget;
  readonly clock?: Clock;
}

/**
 * Says when a request that waits is sent to a second replica as well. There is one for all requests of a service that have the
 * same deadline, with one timer for them until half of it has passed.
 */
export class Hedging {
  readonly #pool: ReplicaPool;
  readonly #hedgeAfterMs: number;
  readonly #againMs: number;
  readonly #budget: RetryBudget;
  readonly #clock: Clock;
  readonly #latency = new RecentLatency();
  readonly #waiting: Deadlines;

  constructor(options: Readonly<HedgingOptions>) {
    const { pool, deadlineMs, clock = systemClock } = options;
    const { budget = new RetryBudget(HEDGE_BUDGET) } = options;
    this.#pool = pool;
    this.#hedgeAfterMs = deadlineMs * HEDGE_AFTER;
    this.#againMs = deadlineMs * LOOK_AGAIN;
    this.#budget = budget;
    this.#clock = clock;
    this.#waiting = new Deadlines(this.#hedgeAfterMs, clock);
  }

  /** A request begins to wait: `who` is told when it has waited for half of the deadline, unless it leaves before. */
  enter(who: Waiting): Place {
    this.#budget.earn();
    return this.#waiting.enter(who);
  }

  /** A response has begun so long after its try. */
  responded(afterMs: number): void {
    this.#latency.add(afterMs);
  }

  /**
   * How long to wait before the request is sent to another replica as well, in milliseconds; 0: it is to be sent now,
   * and the budget is charged; `Infinity`: never.
   *
   * The replica must have responded to nobody for half of the deadline, or for as long as 95 % of the service's recent
   * responses took, if that is longer. The median of those must fit into the time that is left. Another replica must be
   * better off: it has a weight, it is idle, or has responded to somebody since, and its latest response took no longer than the time that
   * is left.
   */
  delayMs({ target, startedAtMs }: Attempt, leftMs: number): number {
    const medianMs = this.#latency.quantile(0.5);
    if (medianMs === undefined || medianMs > leftMs) return Number.POSITIVE_INFINITY;
    const replica = target as Replica;
    const silentMs = this.#clock.ticks() - Math.max(startedAtMs, replica.heardAtMs);
    const quietMs = Math.max(this.#hedgeAfterMs, this.#latency.quantile(0.95) ?? 0);
    if (silentMs < quietMs) return quietMs - silentMs;
    const other = this.#pool.another((one) => one !== replica);
    const isBetter = other !== undefined && isBetterOff(other, startedAtMs, leftMs);
    return isBetter && this.#budget.spend() ? 0 : this.#againMs;
  }

  /** Tells nobody any more. */
  dispose(): void {
    this.#waiting.dispose();
  }
}

/** Whether a request that has waited since then may expect a response of this replica in the time that is left. */
function isBetterOff(
  { weight, inFlight, heardAtMs, tookMs }: Replica,
  sinceMs: number,
  leftMs: number,
): boolean {
  return weight > 0 && (inFlight === 0 || heardAtMs > sinceMs) && tookMs <= leftMs;
}
