import type { Port } from '../port.ts';
import type { Registry } from '../registries/contract.ts';
import type { Threads } from '../threads/threads.ts';
import type { StoreHealth, StoreState } from './storeHealth.ts';

/** What may be missing for a port to be ready. `draining`: the gateway is shutting down. */
export type Missing = 'listening' | 'draining' | 'discovery' | 'store';

export interface ReadinessState {
  readonly missing: readonly Missing[];
  /** Reasons in words, where the name is not enough. They contain no addresses, since users may read them. */
  readonly reasons?: { readonly store: string };
  /** What is wrong although this port is ready, in words and without addresses. */
  readonly degraded?: { readonly store?: string; readonly workers?: string };
}

export interface ReadinessOptions {
  readonly store: StoreHealth;
  readonly registry: Pick<Registry, 'asked'>;
  /** The other threads, if there are any. */
  readonly threads?: Pick<Threads, 'serving' | 'serves'> | undefined;
}

/**
 * Whether a port of this gateway should be sent requests. Users' requests need the store, which knows who has logged out;
 * services call each other without it. With several threads a port is ready once all of them listen, and from then on as
 * long as this thread does.
 */
export class Readiness {
  readonly #store: StoreHealth;
  readonly #registry: ReadinessOptions['registry'];
  readonly #threads: ReadinessOptions['threads'];
  #listening = false;
  #draining = false;

  constructor({ store, registry, threads }: ReadinessOptions) {
    this.#store = store;
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

  /** What this port lacks to be ready; nothing is missing when it is. */
  async state(port: Port): Promise<ReadinessState> {
    const missing = this.#missing();
    // At the start the internal port waits for the store too: with its first 200 a pod is in both Services, and users
    // come.
    const needsStore = port === 'external' || !this.#store.isSettled;
    const store = await (needsStore ? this.#store.ask() : this.#store.glance());
    if (!needsStore || store.trouble === undefined) return { missing, ...this.#degraded(store) };
    return { missing: [...missing, 'store'], reasons: { store: store.trouble }, ...this.#degraded({}) };
  }

  #missing(): Missing[] {
    const missing: Missing[] = [];
    const threads = this.#threads?.serving();
    if (!this.#listening || threads?.begun === false) missing.push('listening');
    if (this.#draining || threads?.stopping) missing.push('draining');
    if (!this.#registry.asked) missing.push('discovery');
    return missing;
  }

  #degraded({ trouble, degraded = trouble }: StoreState): Pick<ReadinessState, 'degraded'> {
    const { begun = false, count = 0, wanted = 0 } = this.#threads?.serving() ?? {};
    const workers = begun && count < wanted ? `${count} of ${wanted} workers take requests` : undefined;
    if (degraded === undefined && workers === undefined) return {};
    return {
      degraded: {
        ...(degraded === undefined ? {} : { store: degraded }),
        ...(workers === undefined ? {} : { workers }),
      },
    };
  }
}
