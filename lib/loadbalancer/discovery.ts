import { type Cancel, type Clock, systemClock } from '../clock/clock.ts';
import { listener } from '../exchange/listener.ts';
import type { ListedReplica, Listing } from './listing.ts';
import type { RegistryClient } from './registryClient.ts';

export interface DiscoveryOptions {
  readonly client: Pick<RegistryClient, 'list'>;
  /** From the end of one look to the beginning of the next. */
  readonly intervalMs: number;
  readonly clock?: Clock;
  /** Called with every good list, an empty one too. */
  readonly onListing: (listed: readonly ListedReplica[]) => void;
  /** Called after a look that found entries it could not read, with a line for each. */
  readonly onSkipped?: (skipped: readonly string[]) => void;
  /** Called after a look that failed: whoever keeps the last good list goes on with it. */
  readonly onError: (error: Error) => void;
}

/** Looks at the registry again and again, one look at a time. It keeps nothing of what it sees. */
export class Discovery {
  readonly #client: Pick<RegistryClient, 'list'>;
  readonly #intervalMs: number;
  readonly #clock: Clock;
  readonly #onListing: (listed: readonly ListedReplica[]) => void;
  readonly #onSkipped: (skipped: readonly string[]) => void;
  readonly #onError: (error: Error) => void;
  #state: 'new' | 'running' | 'stopped' = 'new';
  #firstLook = Promise.resolve();
  #firstRoundOver = false;
  #cancelNext: Cancel = () => {};

  constructor({ client, intervalMs, clock = systemClock, ...callbacks }: Readonly<DiscoveryOptions>) {
    if (!(intervalMs > 0)) throw new RangeError(`Discovery: intervalMs must be above 0, got ${intervalMs}`);
    this.#client = client;
    this.#intervalMs = intervalMs;
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

  /** For good. What a look under way brings is dropped. */
  stop(): void {
    this.#state = 'stopped';
    this.#cancelNext();
  }

  async #look(): Promise<void> {
    try {
      this.#report(await this.#client.list());
    } catch (error) {
      if (this.#state === 'running') this.#onError(error as Error);
    }
    this.#firstRoundOver = true;
    if (this.#state !== 'running') return;
    this.#cancelNext = this.#clock.after(this.#intervalMs, () => void this.#look());
  }

  #report({ listed, skipped }: Listing): void {
    if (this.#state !== 'running') return;
    if (skipped.length > 0) this.#onSkipped(skipped);
    this.#onListing(listed);
  }
}
