import type { ResponseStore } from '../../store/store.ts';
import { CHANGED_MS, type Epochs, newWord } from './epochs.ts';
import { epochKey } from './key.ts';
import type { Purges } from './purge.ts';

/** Maximum number of paths that are owed. Beyond it whole services are purged. */
const MOST_OWED = 1_000;
/** Time between tries: each costs a little for each path that is owed. */
const TRY_AGAIN_MS = 250;

export interface InvalidationsOptions {
  readonly store: ResponseStore;
  readonly purges: Purges;
  readonly epochs: Epochs;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** One change that the store could not be told of. A later change of the same path is another debt. */
interface Debt {
  readonly service: string;
}

/**
 * Invalidates what is stored under changed paths. If the store is away, the invalidation is owed: nothing is found under
 * that path until it has been made up for, so a Redis that comes back does not bring back outdated responses. Other paths
 * do not wait.
 */
export class Invalidations {
  readonly #store: ResponseStore;
  readonly #purges: Purges;
  readonly #now: () => number;
  readonly #owedKeys = new Map<string, Debt>();
  readonly #owedServices = new Map<string, Debt>();
  readonly #epochs: Epochs;
  #triedAtMs = Number.NEGATIVE_INFINITY;

  constructor({ store, purges, epochs, now }: Readonly<InvalidationsOptions>) {
    this.#store = store;
    this.#purges = purges;
    this.#epochs = epochs;
    this.#now = now;
  }

  /** Rejects when the store fails; then the invalidation is owed. */
  async add(service: string, path: string): Promise<void> {
    const key = epochKey(service, path);
    this.#epochs.changed(key);
    try {
      await this.#renew(key);
    } catch (error) {
      this.#owe(key, service);
      throw error;
    }
  }

  /** Whether nothing is owed for this path. What is owed for others is tried again. */
  isSettled(service: string, path: string): boolean {
    if (this.#owedKeys.size === 0 && this.#owedServices.size === 0) return true;
    this.#tryAgain();
    return !this.#owedServices.has(service) && !this.#owedKeys.has(epochKey(service, path));
  }

  /** Pays what is owed for this path. Rejects while the store fails. */
  async settle(service: string, path: string): Promise<void> {
    if (this.#owedServices.has(service)) await this.#payService(service);
    const key = epochKey(service, path);
    if (this.#owedKeys.has(key)) await this.#payKey(key);
  }

  /** Pays everything: perhaps nobody asks for those paths here, and other gateways go by what is stored. */
  #tryAgain(): void {
    const nowMs = this.#now();
    if (Math.abs(nowMs - this.#triedAtMs) < TRY_AGAIN_MS) return;
    this.#triedAtMs = nowMs;
    // What fails stays owed, and whoever asks for it is told.
    for (const service of this.#owedServices.keys()) this.#payService(service).catch(() => {});
    for (const key of this.#owedKeys.keys()) this.#payKey(key).catch(() => {});
  }

  async #payService(service: string): Promise<void> {
    const debt = this.#owedServices.get(service);
    await this.#purges.purge({ service });
    if (this.#owedServices.get(service) === debt) this.#owedServices.delete(service);
  }

  async #payKey(key: string): Promise<void> {
    const debt = this.#owedKeys.get(key);
    await this.#renew(key);
    if (this.#owedKeys.get(key) === debt) this.#owedKeys.delete(key);
  }

  #renew(key: string): Promise<void> {
    return this.#store.renew(key, newWord(), CHANGED_MS);
  }

  #owe(key: string, service: string): void {
    this.#owedKeys.set(key, { service });
    if (this.#owedKeys.size <= MOST_OWED) return;
    for (const debt of this.#owedKeys.values()) this.#owedServices.set(debt.service, debt);
    this.#owedKeys.clear();
  }
}
