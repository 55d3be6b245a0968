import type { Stores } from '../lib/store/store.ts';
import type { Registry } from './registry.ts';

/** Whether this gateway should be sent requests. */
export class Readiness {
  readonly #stores: Stores;
  readonly #registry: Pick<Registry, 'asked'>;
  #listening = false;
  #draining = false;

  constructor(stores: Stores, registry: Pick<Registry, 'asked'>) {
    this.#stores = stores;
    this.#registry = registry;
  }

  get draining(): boolean {
    return this.#draining;
  }

  listening(): void {
    this.#listening = true;
  }

  drain(): void {
    this.#draining = true;
  }

  /** What stands in the way, in words; empty when ready. */
  async missing(): Promise<string[]> {
    const missing: string[] = [];
    if (!this.#listening) missing.push('listening');
    if (this.#draining) missing.push('draining');
    if (!this.#registry.asked) missing.push('discovery');
    if (!(await this.#stores.ready())) missing.push('store');
    return missing;
  }
}
