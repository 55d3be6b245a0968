import { randomUUID } from 'node:crypto';
import { ClientGoneError } from '../../exchange/errors.ts';
import type { ResponseStore } from '../../store/store.ts';
import { reuse } from '../rules/reuse.ts';
import type { Found } from '../stored/entries.ts';
import { Fill, type FillContext, type FillOptions, type FillOwner } from './fill.ts';
import type { Landing } from './landing.ts';
import type { Visit } from './visit.ts';

/** How long one gateway's lease on a missing answer holds when its request has no deadline. */
const LEASE_MS = 5_000;
/** How often a gateway looks whether another has stored the answer: in its own memory, until Redis says otherwise. */
const LOOK_EVERY_MS = 5;

export interface FlightOptions extends FillOptions {
  /** What the lease among gateways is called; none when no other may follow. */
  readonly leaseKey: string | undefined;
  readonly store: ResponseStore;
  readonly onLanded: (landing: Landing) => void;
}

/**
 * One missing answer on its way, for everybody who asks for the same meanwhile: from this gateway, and by a lease
 * from every other that shares the store. The followers wait for its end and are given what was stored; what was
 * not stored is for the first alone, and they ask for themselves.
 */
export class Flight implements FillOwner {
  readonly #context: FillContext;
  readonly #options: FlightOptions;
  /** Told what it comes to. */
  readonly #onLanded: ((landing: Landing) => void)[] = [];
  #lease: string | undefined;
  #followers = 0;
  #fill: Fill | undefined;
  /** The one it was begun for does not wait any more. */
  #readerLeft = false;
  #isOver = false;

  constructor(context: FillContext, options: FlightOptions) {
    this.#context = context;
    this.#options = options;
  }

  start(): void {
    const { visit, inBackground, leaseKey } = this.#options;
    if (!inBackground) visit.exchange.onAbort(this.#onReaderLeft);
    if (leaseKey === undefined) {
      this.#startFill();
      return;
    }
    this.#begin(leaseKey).catch((error) => {
      this.#context.onError(error as Error);
      this.#startFill();
    });
  }

  /** What it comes to; `undefined` when the follower's patience ends first, or it leaves. */
  async follow(visit: Visit): Promise<Landing | undefined> {
    const { promise, resolve } = Promise.withResolvers<Landing | undefined>();
    const { exchange } = visit;
    const { clock } = this.#context;
    const leftMs = visit.leftMs(clock.now());
    const giveUp = () => resolve(undefined);
    // The other half is for asking itself.
    const cancel = leftMs === undefined ? () => {} : clock.after(leftMs / 2, giveUp);
    exchange.onAbort(giveUp);
    this.#onLanded.push(resolve);
    this.#followers += 1;
    const landing = await promise;
    this.#followers -= 1;
    cancel();
    exchange.offAbort(giveUp);
    if (!this.#isOver) this.#fill?.abandonUnlessWanted(new ClientGoneError());
    return landing;
  }

  /** Asks the service, unless another gateway is about to store its answer. */
  async #begin(leaseKey: string): Promise<void> {
    const elsewhere = await this.#awaitOtherGateway(leaseKey);
    if (!elsewhere) {
      this.#startFill();
      return;
    }
    const { visit, reason } = this.#options;
    if (!this.#readerLeft) {
      visit.give(elsewhere, { kind: 'forward', reason, collapsed: true }, this.#context.clock.now());
    }
    this.land({ kind: 'entry', entry: elsewhere, selecting: visit.quest.selecting });
  }

  #startFill(): void {
    const { visit } = this.#options;
    if (this.#readerLeft && this.#followers === 0) {
      this.land({ kind: 'nothing', because: 'failed' });
      return;
    }
    const fill = new Fill(this.#context, this.#options, this);
    this.#fill = fill;
    if (this.#readerLeft) fill.readerLeft(visit.exchange.abortReason as Error);
    fill.start();
  }

  /** The answer another gateway has stored while it held the lease; undefined once the lease is ours. */
  async #awaitOtherGateway(leaseKey: string) {
    const { store, visit } = this.#options;
    const { clock, entries } = this.#context;
    const startedAtMs = clock.now();
    const leftMs = visit.leftMs(startedAtMs);
    const leaseMs = Math.max(1, Math.ceil(leftMs ?? LEASE_MS));
    const lease = randomUUID();
    if (await store.claim(leaseKey, lease, leaseMs)) {
      this.#lease = lease;
      return undefined;
    }
    while (clock.now() < startedAtMs + leaseMs / 2 && !this.#isOver) {
      // In this order: what was stored before the lease was given back must be found.
      const isHeld = (await store.get(leaseKey)) !== undefined;
      const { entry } = await entries.find(visit.quest);
      if (entry && this.#isUsable(entry)) return entry;
      if (!isHeld) return undefined;
      await new Promise<void>((resolve) => clock.after(LOOK_EVERY_MS, resolve));
    }
    return undefined;
  }

  #isUsable({ terms, generatedAtMs }: NonNullable<Found['entry']>): boolean {
    return reuse(terms, this.#context.clock.now() - generatedAtMs, this.#options.visit.terms) === 'serve';
  }

  readonly #onReaderLeft = (reason: Error): void => {
    this.#readerLeft = true;
    this.#fill?.readerLeft(reason);
    this.#options.visit.next(reason);
  };

  /** Tells everybody who waits; what comes after the first time does nothing. */
  land(landing: Landing): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#options.onLanded(landing);
    for (const tell of this.#onLanded) tell(landing);
    this.giveBack(this.handOverLease());
  }

  handOverLease(): string | undefined {
    const isHeld = this.#lease !== undefined;
    this.#lease = undefined;
    return isHeld ? this.#options.leaseKey : undefined;
  }

  /** One that cannot be given back runs out. */
  giveBack(leaseKey: string | undefined): void {
    if (leaseKey !== undefined) this.#options.store.delete(leaseKey).catch(this.#context.onError);
  }

  get isAwaited(): boolean {
    return this.#followers > 0;
  }
}
