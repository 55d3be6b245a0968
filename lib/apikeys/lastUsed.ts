import type { Clock } from '../clock/clock.ts';
import type { TokenStore } from '../store/store.ts';
import { listener } from '../util/listener.ts';

/** A use is noted when the last note is older than this: more often would cost a write for nothing that matters. */
export const NOTED_EVERY_MS = 10 * 60_000;
/** How long a note is kept. */
const KEPT_MS = 400 * 24 * 60 * 60_000;
/** Uses that could not be noted are noted again after this time at the earliest. */
const AGAIN_AFTER_MS = 10_000;
/** More than there may be keys; those that were deleted meanwhile go along with the rest. */
const MAX_NOTED = 20_000;

export interface LastUsedOptions {
  readonly store: TokenStore;
  readonly clock: Clock;
  /** Called when a use could not be noted. The request was accepted all the same. */
  readonly onError?: ((error: Error) => void) | undefined;
}

/** When each key was used last, to within ten minutes; written in the background, at most once in that time by each thread. */
export class LastUsed {
  readonly #store: TokenStore;
  readonly #clock: Clock;
  readonly #onError: (error: Error) => void;
  /** When the next use of a key is to be noted, in ticks. */
  readonly #nextAtTicks = new Map<string, number>();

  constructor({ store, clock, onError }: Readonly<LastUsedOptions>) {
    this.#store = store;
    this.#clock = clock;
    this.#onError = listener(onError);
  }

  /** The key was used now. */
  note(id: string): void {
    const ticks = this.#clock.ticks();
    if (ticks < (this.#nextAtTicks.get(id) ?? Number.NEGATIVE_INFINITY)) return;
    if (this.#nextAtTicks.size >= MAX_NOTED) this.#nextAtTicks.clear();
    this.#nextAtTicks.set(id, ticks + NOTED_EVERY_MS);
    this.#store.set(storeKey(id), String(this.#clock.now()), KEPT_MS).catch((error: Error) => {
      this.#nextAtTicks.set(id, ticks + AGAIN_AFTER_MS);
      this.#onError(error);
    });
  }

  /** In milliseconds since the epoch; undefined: not in the last 400 days. Rejects as the store does. */
  async of(id: string): Promise<number | undefined> {
    const noted = await this.#store.get(storeKey(id));
    return noted === undefined ? undefined : Number(noted.toString());
  }
}

function storeKey(id: string): string {
  return `apikey:${id}:used`;
}
