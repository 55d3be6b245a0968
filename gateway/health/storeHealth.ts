import type { Stores } from '../../lib/store/store.ts';

/** What the store says of itself, in words and without addresses: users may read this. */
export interface StoreState {
  /** Why it cannot be relied on; undefined when it can. */
  readonly trouble?: string | undefined;
  /** What is wrong although it can be relied on. */
  readonly degraded?: string | undefined;
}

export interface StoreHealthOptions {
  readonly stores: Pick<Stores, 'trouble' | 'degraded'>;
  /** Resolves when the store has had the time that a start gives it. Default: it has. */
  readonly settled?: Promise<void> | undefined;
  /** Told each time somebody asks what the store says. */
  readonly onTrouble?: (trouble: string | undefined) => void;
}

/** Whether the store can be relied on, for those who need it and for those who only tell of it. */
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

  /** Whether the store has had the time that a start gives it, with whatever result. */
  get isSettled(): boolean {
    return this.#isSettled;
  }

  /** Asks it. Takes as long as the store may take for a write; never rejects. */
  async ask(): Promise<StoreState> {
    const trouble = await this.#stores.trouble();
    this.#onTrouble(trouble);
    const degraded = trouble === undefined ? await this.#stores.degraded() : undefined;
    this.#known = { trouble, degraded };
    return this.#known;
  }

  /** What it says if that is known at once, else what it said last: a store that hangs keeps nobody waiting. */
  async glance(): Promise<StoreState> {
    const thisTurn = new Promise<void>((resolve) => setImmediate(resolve));
    await Promise.race([this.ask(), thisTurn]);
    return this.#known;
  }
}
