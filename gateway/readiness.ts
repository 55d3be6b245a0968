import type { Stores } from '../lib/store/store.ts';
import type { Registry } from './registry.ts';
import type { Threads } from './threads/threads.ts';

/** What a gateway that is ready has. `draining` stands for not doing so. */
export type Missing = 'listening' | 'draining' | 'discovery' | 'store';

export interface ReadinessState {
  readonly missing: readonly Missing[];
  /** Why, in words, where the name alone does not say it. Without addresses: users may read this. */
  readonly reasons?: { readonly store: string };
  /** What is wrong although it does not stand in the way, in words, without addresses. */
  readonly degraded?: { readonly store: string };
}

/** Whether this gateway should be sent requests: in one of several threads, whether all of them take some. */
export class Readiness {
  readonly #stores: Stores;
  readonly #registry: Pick<Registry, 'asked'>;
  readonly #threads: Pick<Threads, 'allServe' | 'serves'> | undefined;
  readonly #onStoreTrouble: (trouble: string | undefined) => void;
  #listening = false;
  #draining = false;

  constructor(
    stores: Stores,
    registry: Pick<Registry, 'asked'>,
    threads?: Pick<Threads, 'allServe' | 'serves'>,
    /** Told each time somebody asks what the store says. */
    onStoreTrouble: (trouble: string | undefined) => void = () => {},
  ) {
    this.#stores = stores;
    this.#registry = registry;
    this.#threads = threads;
    this.#onStoreTrouble = onStoreTrouble;
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

  /** What stands in the way; nothing is missing when ready. */
  async state(): Promise<ReadinessState> {
    const missing: Missing[] = [];
    if (!this.#listening || this.#threads?.allServe() === false) missing.push('listening');
    if (this.#draining) missing.push('draining');
    if (!this.#registry.asked) missing.push('discovery');
    const trouble = await this.#stores.trouble();
    this.#onStoreTrouble(trouble);
    if (trouble !== undefined) return { missing: [...missing, 'store'], reasons: { store: trouble } };
    const degraded = await this.#stores.degraded?.();
    return degraded === undefined ? { missing } : { missing, degraded: { store: degraded } };
  }
}
