import { type Clock, systemClock } from '../clock/clock.ts';
import { HeadCheck } from '../response/headCheck.ts';
import type { ResponseStore } from '../store/store.ts';
import { listener } from '../util/listener.ts';
import { RecentOutcomes } from './fetch/recentOutcomes.ts';
import { Heads } from './rules/heads.ts';
import { Policy } from './rules/policy.ts';
import { Entries } from './stored/entries.ts';

/** Maximum number of background revalidations of one service; they hold no permit. */
const MAX_REVALIDATIONS = 10;

export interface ServiceCacheOptions {
  readonly store: ResponseStore;
  /** How long past its lifetime a response may be served instead of an error. Default 0. */
  readonly staleIfErrorMs?: number;
  /** The store failed: a request went to the service, or its response was not stored. */
  readonly onError?: (error: Error) => void;
  readonly clock?: Clock;
}

/**
 * What the caches of one service's routes have in common: where its responses are stored, what has made them void, and what is
 * bounded for the service as a whole. A change that is made through one route holds for what another has stored, also while
 * the store could not yet be told of it.
 */
export class ServiceCache {
  readonly store: ResponseStore;
  readonly staleIfErrorMs: number;
  readonly onError: (error: Error) => void;
  readonly clock: Clock;
  readonly entries: Entries;
  readonly recent: RecentOutcomes;
  readonly heads = new Heads();
  readonly headCheck = new HeadCheck();
  readonly #policies = new Map<number, Policy>();
  #isUsed = false;
  #revalidations = 0;

  constructor({ store, staleIfErrorMs = 0, onError, clock = systemClock }: Readonly<ServiceCacheOptions>) {
    this.store = store;
    this.staleIfErrorMs = staleIfErrorMs;
    this.onError = listener(onError);
    this.clock = clock;
    this.entries = new Entries({ store, now: () => clock.now(), staleIfErrorMs, onError: this.onError });
    this.recent = new RecentOutcomes(clock);
  }

  /** Whether any route keeps responses: only then changes make something void, by whichever route they are made. */
  get isUsed(): boolean {
    return this.#isUsed;
  }

  /** To be called when a route is made that keeps responses. */
  use(): void {
    this.#isUsed = true;
  }

  /** Tells the terms of responses of which a 200 that says nothing of its own is fresh for `defaultTtlMs`. */
  policyFor(defaultTtlMs: number): Policy {
    const policy = this.#policies.get(defaultTtlMs) ?? new Policy(defaultTtlMs);
    this.#policies.set(defaultTtlMs, policy);
    return policy;
  }

  /** Makes everything void that is stored under a path of the service, by whichever route. */
  invalidate(service: string, path: string): void {
    this.entries.invalidate(service, path).catch(this.onError);
  }

  /** Whether one more response may be fetched in the background; `endRevalidation` must follow then. */
  beginRevalidation(): boolean {
    if (this.#revalidations >= MAX_REVALIDATIONS) return false;
    this.#revalidations += 1;
    return true;
  }

  endRevalidation(): void {
    this.#revalidations -= 1;
  }
}
