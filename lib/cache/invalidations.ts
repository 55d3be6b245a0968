import type { ResponseStore } from '../store/store.ts';
import { CHANGED_MS, type Epochs, newWord } from './epochs.ts';
import { epochKey } from './key.ts';
import type { Purges } from './purge.ts';

/** Past it, whole services are made void instead of paths. */
const MOST_OWED = 1_000;

export interface InvalidationsOptions {
  readonly store: ResponseStore;
  readonly purges: Purges;
  readonly epochs: Epochs;
}

/**
 * What changes have made void. One that the store could not be told of is owed: no look-up counts before it is made
 * good, so a Redis that comes back does not bring back what was changed meanwhile.
 */
export class Invalidations {
  readonly #store: ResponseStore;
  readonly #purges: Purges;
  readonly #owedKeys = new Map<string, string>();
  readonly #owedServices = new Set<string>();
  readonly #epochs: Epochs;

  constructor({ store, purges, epochs }: Readonly<InvalidationsOptions>) {
    this.#store = store;
    this.#purges = purges;
    this.#epochs = epochs;
  }

  /** Rejects when the store does not answer; then it is owed. */
  async add(service: string, path: string): Promise<void> {
    const key = epochKey(service, path);
    this.#epochs.changed(key);
    try {
      await this.#store.renew(key, newWord(), CHANGED_MS);
    } catch (error) {
      this.#owe(key, service);
      throw error;
    }
  }

  /** Whether nothing is owed. */
  get areSettled(): boolean {
    return this.#owedKeys.size === 0 && this.#owedServices.size === 0;
  }

  /** Makes good what is owed; rejects while the store does not answer. */
  async settle(): Promise<void> {
    if (this.areSettled) return;
    for (const service of this.#owedServices) {
      await this.#purges.purge({ service });
      this.#owedServices.delete(service);
    }
    const keys = [...this.#owedKeys.keys()];
    await Promise.all(keys.map((key) => this.#store.renew(key, newWord(), CHANGED_MS)));
    for (const key of keys) this.#owedKeys.delete(key);
  }

  #owe(key: string, service: string): void {
    this.#owedKeys.set(key, service);
    if (this.#owedKeys.size <= MOST_OWED) return;
    for (const of of this.#owedKeys.values()) this.#owedServices.add(of);
    this.#owedKeys.clear();
  }
}
