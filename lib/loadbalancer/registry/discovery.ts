import { type Cancel, type Clock, systemClock } from '../../clock/clock.ts';
import { listener } from '../../util/listener.ts';
import type { ListedReplica, Listing } from './listing.ts';

/** Something that knows which replicas run, or what else there is to find. */
export interface Source<Entry> {
  /** The list as it is now. It may resolve only once something has changed. */
  list(): Promise<Listing<Entry>>;
}

export type ReplicaSource = Source<ListedReplica>;

export interface DiscoveryOptions<Entry = ListedReplica> {
  readonly source: Source<Entry>;
  /** From the end of one look to the beginning of the next. */
  readonly intervalMs: number;
  /** The same after a look that failed. Default: `intervalMs`. */
  readonly retryMs?: number;
  readonly clock?: Clock;
  /** Called with every good list, an empty one too. */
  readonly onListing: (listed: readonly Entry[]) => void;
  /** Called after a look that found entries it could not read, with a line for each. */
  readonly onSkipped?: (skipped: readonly string[]) => void;
  /** Called after a look that failed. The last good list remains valid. */
  readonly onError: (error: Error) => void;
}

/** Looks at the registry at intervals, one look at a time. It does not store what it finds. */
export class Discovery<Entry = ListedReplica> {
  readonly #source: Source<Entry>;
  readonly #intervalMs: number;
  readonly #retryMs: number;
  readonly #clock: Clock;
  readonly #onListing: (listed: readonly Entry[]) => void;
  readonly #onSkipped: (skipped: readonly string[]) => void;
  readonly #onError: (error: Error) => void;
  #state: 'new' | 'running' | 'stopped' = 'new';
  #firstLook = Promise.resolve();
  #firstRoundOver = false;
  #cancelNext: Cancel = () => {};

  constructor({
    source,
    intervalMs,
    retryMs = intervalMs,
    clock = systemClock,
    ...callbacks
  }: Readonly<DiscoveryOptions<Entry>>) {
    if (!(intervalMs > 0)) throw new RangeError(`Discovery: intervalMs must be above 0, got ${intervalMs}`);
    this.#source = source;
    this.#intervalMs = intervalMs;
    this.#retryMs = retryMs;
    this.#clock = clock;
    this.#onListing = listener(callbacks.onListing);
    this.#onSkipped = listener(callbacks.onSkipped);
    this.#onError = listener(callbacks.onError);
  }

  /** Whether the first look has ended, well or not: a gateway is ready with its registry down, too. */
  get firstRoundOver(): boolean {
    return this.#firstRoundOver;
  }

  /** Looks at once, and from then on at intervals. Resolves when the first look has ended; never rejects. */
  start(): Promise<void> {
    if (this.#state === 'new') {
      this.#state = 'running';
      this.#firstLook = this.#look();
    }
    return this.#firstLook;
  }

  /** Stops for good. The result of a look that is under way is dropped. */
  stop(): void {
    this.#state = 'stopped';
    this.#cancelNext();
  }

  async #look(): Promise<void> {
    let waitMs = this.#intervalMs;
    try {
      this.#report(await this.#source.list());
    } catch (error) {
      waitMs = this.#retryMs;
      if (this.#state === 'running') this.#onError(error as Error);
    }
    this.#firstRoundOver = true;
    if (this.#state !== 'running') return;
    this.#cancelNext = this.#clock.after(waitMs, () => void this.#look());
  }

  #report({ listed, skipped }: Listing<Entry>): void {
    if (this.#state !== 'running') return;
    if (skipped.length > 0) this.#onSkipped(skipped);
    this.#onListing(listed);
  }
}
