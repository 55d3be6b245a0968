import { type Cancel, type Clock, systemClock } from '../../clock/clock.ts';
import { listener } from '../../util/listener.ts';
import { type Counted, Tally } from '../choice/tally.ts';
import { CallQueue } from './callQueue.ts';
import type { Registered } from './registered.ts';
import type { RegistryClient } from './registryClient.ts';
import { RegistryError } from './registryError.ts';

const GATHER_MS = 500;
const DEFAULT_MAX_WAITING = 1000;

export interface RegistryCallsOptions {
  readonly client: RegistryClient;
  readonly clock?: Clock;
  /** Maximum number of increments that wait, and of deregistrations; then the oldest is dropped. Default 1000. */
  readonly maxWaiting?: number;
  /** Called for each call that failed. It is not made again. */
  readonly onError?: (error: Error) => void;
  /** Called when the registry has dropped a replica. */
  readonly onDeregistered?: (replica: Registered) => void;
  /** Called when calls are dropped, with the number of requests or trips that the registry is not told of. */
  readonly onDropped?: (count: number) => void;
}

/**
 * Tells the registry which replicas were sent requests and which to deregister, without delaying any request. If the
 * registry takes counts, increments are collected for half a second; otherwise each is a call.
 */
export class RegistryCalls {
  readonly #client: RegistryClient;
  readonly #clock: Clock;
  readonly #maxWaiting: number;
  readonly #onError: (error: Error) => void;
  readonly #onDropped: (count: number) => void;
  readonly #increments: CallQueue;
  /** Not in the queue of the increments, so that a trip is told at once even if a slow registry is busy with those. */
  readonly #deregistrations: CallQueue;
  readonly #gathered: Tally;
  #cancelRound: Cancel | undefined;
  #failed = 0;
  #dropped = 0;
  #closed = false;

  constructor(options: Readonly<RegistryCallsOptions>) {
    const { client, clock = systemClock, maxWaiting = DEFAULT_MAX_WAITING } = options;
    if (!(maxWaiting >= 1))
      throw new RangeError(`RegistryCalls: maxWaiting must be 1 or more, got ${maxWaiting}`);
    this.#client = client;
    this.#clock = clock;
    this.#maxWaiting = maxWaiting;
    this.#gathered = new Tally(maxWaiting);
    this.#onError = listener(options.onError);
    this.#onDropped = listener(options.onDropped);
    this.#increments = this.#queue(({ replica, count }) => client.increment(replica, count));
    const onDeregistered = listener(options.onDeregistered);
    this.#deregistrations = this.#queue(async ({ replica }) => {
      await client.deregister(replica);
      onDeregistered(replica);
    });
  }

  /** Calls that failed so far. */
  get failed(): number {
    return this.#failed;
  }

  /** Requests and trips so far that the registry was not told of, for lack of time or room. */
  get dropped(): number {
    return this.#dropped;
  }

  /** A request was sent to the replica. */
  increment(replica: Registered): void {
    if (this.#closed) return;
    if (this.#client.countsIncrements) this.#gather(replica);
    else this.#increments.add({ replica, count: 1 });
  }

  /** The replica's breaker has opened. Does nothing while an earlier such call for it is not over. */
  deregister(replica: Registered): void {
    if (this.#closed || this.#deregistrations.has(replica)) return;
    this.#gathered.forget(replica);
    this.#deregistrations.add({ replica, count: 1 });
  }

  /**
   * Sends what has been collected and waits until everything is sent, for `deadlineMs` at most. Calls that have not begun
   * by then are dropped. New calls are ignored from now on. Never rejects.
   */
  async flush(deadlineMs: number): Promise<void> {
    this.#closed = true;
    this.#cancelRound?.();
    this.#sendGathered();
    const late = Promise.withResolvers<void>();
    const cancel = this.#clock.after(deadlineMs, late.resolve);
    await Promise.race([
      Promise.all([this.#deregistrations.drain(), this.#increments.drain()]),
      late.promise,
    ]);
    cancel();
    this.#deregistrations.discard();
    this.#increments.discard();
  }

  #gather(replica: Registered): void {
    const pushedOut = this.#gathered.add(replica);
    if (pushedOut) this.#drop([pushedOut]);
    this.#cancelRound ??= this.#clock.after(GATHER_MS, () => this.#endRound());
  }

  #endRound(): void {
    // While the registry has not finished the last round, this one continues: its counts grow, not its calls.
    const behind = this.#increments.waiting > 0;
    this.#cancelRound = behind ? this.#clock.after(GATHER_MS, () => this.#endRound()) : undefined;
    if (!behind) this.#sendGathered();
  }

  #sendGathered(): void {
    for (const counted of this.#gathered.take()) this.#increments.add(counted);
  }

  #queue(send: (call: Counted) => Promise<void>): CallQueue {
    return new CallQueue({
      send,
      maxWaiting: this.#maxWaiting,
      clock: this.#clock,
      onDropped: (calls) => this.#drop(calls),
      onFailed: (error) => {
        this.#failed += 1;
        this.#onError(error);
        return error instanceof RegistryError && error.isAway;
      },
    });
  }

  #drop(calls: readonly Counted[]): void {
    const count = calls.reduce((sum, call) => sum + call.count, 0);
    this.#dropped += count;
    this.#onDropped(count);
  }
}
