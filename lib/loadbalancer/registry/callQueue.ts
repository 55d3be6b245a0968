import pLimit from 'p-limit';
import type { Clock } from '../../clock/clock.ts';
import type { Counted } from '../choice/tally.ts';
import type { Registered } from './registered.ts';

const AT_ONCE = 4;
const REST_MS = 1000;

export interface CallQueueOptions {
  /** Makes one call; when it rejects, the call is not made again. */
  readonly send: (call: Counted) => Promise<void>;
  /** Maximum number of calls that wait. When there is one more, the oldest is dropped. */
  readonly maxWaiting: number;
  readonly clock: Clock;
  /** Must not throw. Returns whether to pause before the next call. */
  readonly onFailed: (error: Error) => boolean;
  /** Must not throw. */
  readonly onDropped: (calls: readonly Counted[]) => void;
}

/**
 * Makes calls in order, four at a time. After a failure that asks for it, one of the four pauses for a second, so that a
 * registry that is down costs four calls a second however many requests there are.
 */
export class CallQueue {
  readonly #options: CallQueueOptions;
  readonly #limit = pLimit(AT_ONCE);
  readonly #waiting: Counted[] = [];
  readonly #underWay = new Set<Counted>();
  readonly #wakers = new Set<() => void>();
  readonly #drained = Promise.withResolvers<void>();
  #draining = false;

  constructor(options: CallQueueOptions) {
    this.#options = options;
  }

  /** Calls that have not begun. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Whether a call for the replica waits or is under way. */
  has({ tag }: Registered): boolean {
    return [...this.#waiting, ...this.#underWay].some(({ replica }) => replica.tag === tag);
  }

  add(call: Counted): void {
    this.#waiting.push(call);
    // There are as many turns as calls that wait: a new call takes the turn of the dropped one.
    if (this.#waiting.length > this.#options.maxWaiting) this.#options.onDropped(this.#waiting.splice(0, 1));
    else void this.#limit(this.#takeTurn);
  }

  /** Resolves when all calls have been made, without pauses. It may not wait for calls that are added later. */
  drain(): Promise<void> {
    this.#draining = true;
    for (const wake of this.#wakers) wake();
    this.#checkDrained();
    return this.#drained.promise;
  }

  /** Drops the calls that wait. */
  discard(): void {
    if (this.#waiting.length > 0) this.#options.onDropped(this.#waiting.splice(0));
  }

  readonly #takeTurn = async (): Promise<void> => {
    const call = this.#waiting.shift();
    if (!call) return;
    this.#underWay.add(call);
    try {
      await this.#options.send(call);
    } catch (error) {
      const needsRest = this.#options.onFailed(error as Error);
      if (needsRest && !this.#draining) await this.#rest();
    } finally {
      this.#underWay.delete(call);
      this.#checkDrained();
    }
  };

  #rest(): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        cancel();
        this.#wakers.delete(wake);
        resolve();
      };
      const cancel = this.#options.clock.after(REST_MS, wake);
      this.#wakers.add(wake);
    });
  }

  #checkDrained(): void {
    if (this.#draining && this.#underWay.size === 0 && this.#waiting.length === 0) this.#drained.resolve();
  }
}
