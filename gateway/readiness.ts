import type { Stores } from '../lib/store/store.ts';
import type { Registry } from './registry.ts';
import type { Threads } from './threads/threads.ts';

/** Whether this gateway should be sent requests: in one of several threads, whether all of them take some. */
export class Readiness {
  readonly #stores: Stores;
  readonly #registry: Pick<Registry, 'asked'>;
  readonly #threads: Pick<Threads, 'allServe' | 'serves'> | undefined;
  #listening = false;
  #draining = false;

  constructor(
    stores: Stores,
    registry: Pick<Registry, 'asked'>,
    threads?: Pick<Threads, 'allServe' | 'serves'>,
  ) {
    this.#stores = stores;
    this.#registry = registry;
    this.#threads = threads;
  }

  get draining(): boolean {
    return this.#draining;
  }

  listening(): void {
    this.#listening = true;
    this.#threads?.serves(true);
  }

  drain(): void {
    this.#draining = true;
    this.#threads?.serves(false);
  }

  /** What stands in the way, in words; empty when ready. */
  async missing(): Promise<string[]> {
    const missing: string[] = [];
    if (!this.#listening || this.#threads?.allServe() === false) missing.push('listening');
    if (this.#draining) missing.push('draining');
    if (!this.#registry.asked) missing.push('discovery');
    if (!(await this.#stores.ready())) missing.push('store');
    return missing;
  }
}
