import { randomUUID } from 'node:crypto';
import { ClientGoneError } from '../../exchange/errors.ts';
import type { ResponseStore } from '../../store/store.ts';
import { reuse } from '../rules/reuse.ts';
import type { Found } from '../stored/entryFinder.ts';
import type { CacheRequest } from './cacheRequest.ts';
import type { FetchContext, FetchOptions, FetchOutcome, FetchOwner } from './fetchContract.ts';
import { OriginFetch } from './originFetch.ts';

/** How long one gateway's lease on a missing response holds when its request has no deadline. */
const LEASE_MS = 5_000;
/** How often a gateway looks whether another has stored the response: in its own memory, until Redis says otherwise. */
const LOOK_EVERY_MS = 5;

export interface CollapsedFetchOptions extends FetchOptions {
  /** The key of the lease among gateways. Undefined where no other gateway may wait for this fetch. */
  readonly leaseKey: string | undefined;
  readonly store: ResponseStore;
  readonly onSettled: (outcome: FetchOutcome) => void;
}

/**
 * One fetch for all requests that ask for the same response meanwhile (RFC 9111 section 4): those of this gateway, and by
 * a lease those of all gateways that share the store. The others wait for its end and are served what was stored. What
 * was not stored is for the first request only, and the others ask the service themselves.
 */
export class CollapsedFetch implements FetchOwner {
  readonly #context: FetchContext;
  readonly #options: CollapsedFetchOptions;
  /** Tell the requests that wait for the outcome. */
  readonly #waiting = new Set<(outcome: FetchOutcome) => void>();
  #lease: string | undefined;
  #fetch: OriginFetch | undefined;
  /** Whether the client of the first request has left. */
  #clientLeft = false;
  #isOver = false;

  constructor(context: FetchContext, options: CollapsedFetchOptions) {
    this.#context = context;
    this.#options = options;
  }

  start(): void {
    const { request, inBackground, leaseKey } = this.#options;
    if (!inBackground) request.exchange.onAbort(this.#onClientLeft);
    if (leaseKey === undefined) {
      this.#startFetch();
      return;
    }
    this.#begin(leaseKey).catch((error) => {
      this.#context.onError(error as Error);
      this.#startFetch();
    });
  }

  /** Waits for the outcome. Undefined when half of the request's time is over first, or its client leaves. */
  async wait(request: CacheRequest): Promise<FetchOutcome | undefined> {
    const { promise, resolve } = Promise.withResolvers<FetchOutcome | undefined>();
    const { exchange } = request;
    const { clock } = this.#context;
    const leftMs = request.leftMs(clock.now());
    const giveUp = () => resolve(undefined);
    // The other half is for asking the service itself.
    const cancel = leftMs === undefined ? () => {} : clock.after(leftMs / 2, giveUp);
    exchange.onAbort(giveUp);
    this.#waiting.add(resolve);
    const outcome = await promise;
    this.#waiting.delete(resolve);
    cancel();
    exchange.offAbort(giveUp);
    if (!this.#isOver) this.#fetch?.abandonUnlessWanted(new ClientGoneError());
    return outcome;
  }

  /** Asks the service, unless another gateway is about to store its response. */
  async #begin(leaseKey: string): Promise<void> {
    const elsewhere = await this.#awaitOtherGateway(leaseKey);
    if (!elsewhere) {
      this.#startFetch();
      return;
    }
    const { request, reason } = this.#options;
    if (!this.#clientLeft) {
      request.serve(elsewhere, { kind: 'forward', reason, collapsed: true }, this.#context.clock.now());
    }
    this.settle({ kind: 'entry', entry: elsewhere, selecting: request.lookup.selecting });
  }

  #startFetch(): void {
    const { request } = this.#options;
    if (this.#clientLeft && !this.isAwaited) {
      this.settle({ kind: 'nothing', because: 'failed' });
      return;
    }
    const fetch = new OriginFetch(this.#context, this.#options, this);
    this.#fetch = fetch;
    if (this.#clientLeft) fetch.clientLeft(request.exchange.abortReason as Error);
    fetch.start();
  }

  /** The response that another gateway has stored while it held the lease. Undefined once the lease is ours. */
  async #awaitOtherGateway(leaseKey: string) {
    const { store, request } = this.#options;
    const { clock, entries } = this.#context;
    const startedAtMs = clock.now();
    const leftMs = request.leftMs(startedAtMs);
    const leaseMs = Math.max(1, Math.ceil(leftMs ?? LEASE_MS));
    const lease = randomUUID();
    if (await store.claim(leaseKey, lease, leaseMs)) {
      this.#lease = lease;
      return undefined;
    }
    while (clock.now() < startedAtMs + leaseMs / 2 && !this.#isOver) {
      // In this order: what was stored before the lease was given back must be found.
      const isHeld = (await store.get(leaseKey)) !== undefined;
      const { entry } = await entries.find(request.lookup);
      if (entry && this.#isUsable(entry)) return entry;
      if (!isHeld) return undefined;
      await new Promise<void>((resolve) => clock.after(LOOK_EVERY_MS, resolve));
    }
    return undefined;
  }

  #isUsable({ terms, generatedAtMs }: NonNullable<Found['entry']>): boolean {
    return reuse(terms, this.#context.clock.now() - generatedAtMs, this.#options.request.terms) === 'serve';
  }

  readonly #onClientLeft = (reason: Error): void => {
    this.#clientLeft = true;
    this.#fetch?.clientLeft(reason);
    this.#options.request.next(reason);
  };

  /** Tells all who wait. Only the first call does anything. */
  settle(outcome: FetchOutcome): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#options.onSettled(outcome);
    for (const tell of this.#waiting) tell(outcome);
    this.giveBack(this.handOverLease());
  }

  handOverLease(): string | undefined {
    const isHeld = this.#lease !== undefined;
    this.#lease = undefined;
    return isHeld ? this.#options.leaseKey : undefined;
  }

  /** A lease that cannot be given back expires. */
  giveBack(leaseKey: string | undefined): void {
    if (leaseKey !== undefined) this.#options.store.delete(leaseKey).catch(this.#context.onError);
  }

  get isAwaited(): boolean {
    return this.#waiting.size > 0;
  }
}
