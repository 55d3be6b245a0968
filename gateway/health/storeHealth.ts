import type { Stores } from '../../lib/store/store.ts';

/** The state of the store, in words and without addresses, since users may read it. */
export interface StoreState {
  /** Why it cannot be relied on; undefined when it can. */
  readonly trouble?: string | undefined;
  /** What is wrong although the store can be relied on. */
  readonly degraded?: string | undefined;
}

export interface StoreHealthOptions {
  readonly stores: Pick<Stores, 'trouble' | 'degraded'>;
  /** Resolves when the store has had the time that a start gives it. Default: it has had it. */
  readonly settled?: Promise<void> | undefined;
  /** Called with the result each time the store is asked. */
  readonly onTrouble?: (trouble: string | undefined) => void;
}

/** Whether the store can be relied on: by asking it, or by its last known state. */
export class StoreHealth {
  readonly #stores: StoreHealthOptions['stores'];
  readonly #onTrouble: (trouble: string | undefined) => void;
  #known: StoreState = {};
  #isSettled: boolean;

  constructor({ stores, settled, onTrouble = () => {} }: StoreHealthOptions) {
    this.#stores = stores;
    this.#onTrouble = onTrouble;
    this.#isSettled = settled === undefined;
    settled?.then(() => {
      this.#isSettled = true;
    });
  }

  /** Whether the store has had the time that a start gives it, whatever the result. */
  get isSettled(): boolean {
    return this.#isSettled;
  }

  /** Asks the store, which takes as long as a write may take. Never rejects. */
  async ask(): Promise<StoreState> {
    const trouble = await this.#stores.trouble();
    this.#onTrouble(trouble);
    const degraded = trouble === undefined ? await this.#stores.degraded() : undefined;
    this.#known = { trouble, degraded };
    return this.#known;
  }

  /** The store's state if that is known at once, otherwise its last known state: a store that hangs delays nobody. */
  async glance(): Promise<StoreState> {
    const thisTurn = new Promise<void>((resolve) => setImmediate(resolve));
    await Promise.race([this.ask(), thisTurn]);
    return this.#known;
  }
}
