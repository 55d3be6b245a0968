import { type Clock, systemClock } from '../clock/clock.ts';
import { listener } from '../exchange/listener.ts';
import { LoadHeap } from './loadHeap.ts';
import { type Listed, Replica } from './replica.ts';
import { slowStart } from './slowStart.ts';

export interface ReplicaPoolOptions {
  /** Path prefix of the service, for errors. */
  readonly service: string;
  /** Who is asked until a registry lists others. */
  readonly replicas: readonly Replica[];
  /** How long a newcomer takes to get its full part of the load; 0 (the default) is at once. */
  readonly slowStartMs?: number;
  readonly clock?: Clock;
  readonly random?: () => number;
  /** A replica has left the list. Requests may still be under way there. */
  readonly onDeparted?: (replica: Replica) => void;
  /** The last request of a departed replica is over. */
  readonly onIdle?: (replica: Replica) => void;
}

/** The replicas of one service and who of them gets the next request. */
export class ReplicaPool {
  readonly service: string;
  readonly #byId = new Map<string, Replica>();
  readonly #candidates: LoadHeap;
  readonly #newcomer: (replica: Replica, handicap: number) => void;
  readonly #onDeparted: (replica: Replica) => void;
  readonly #onIdle: (replica: Replica) => void;
  #listed = false;

  constructor(options: Readonly<ReplicaPoolOptions>) {
    const { service, replicas, slowStartMs = 0, clock = systemClock, random = Math.random } = options;
    this.service = service;
    this.#candidates = new LoadHeap(random);
    this.#newcomer = slowStart(slowStartMs, clock, (replica) => this.#candidates.changed(replica));
    this.#onDeparted = listener(options.onDeparted);
    this.#onIdle = listener(options.onIdle);
    for (const replica of replicas) this.#join(replica);
  }

  /** Everyone listed, available or not. */
  get replicas(): readonly Replica[] {
    return [...this.#byId.values()];
  }

  get(id: string): Replica | undefined {
    return this.#byId.get(id);
  }

  /** Whether a replica other than `except` would be taken now. */
  hasAnother(except: Replica): boolean {
    return this.#candidates.least(except) !== undefined;
  }

  /** The least loaded available replica that is not `except`, counted as taken; `undefined` if there is none. */
  take(except?: Replica): Replica | undefined {
    const replica = this.#candidates.least(except);
    if (!replica) return undefined;
    replica.inFlight += 1;
    replica.requestCount += 1;
    this.#candidates.changed(replica);
    return replica;
  }

  /** Ends what `take` began. To be called once for each replica taken. */
  release(replica: Replica): void {
    replica.inFlight -= 1;
    this.#candidates.changed(replica);
    if (replica.inFlight === 0 && this.get(replica.id) !== replica) this.#onIdle(replica);
  }

  /** Keeps new requests from a replica, or lets them through again. What is under way goes on. */
  suspend(id: string, suspended: boolean): void {
    const replica = this.get(id);
    if (!replica) return;
    replica.suspended = suspended;
    this.#enlist(replica);
  }

  /**
   * Takes over what a registry lists. Who is known keeps what is under way and the larger request count; a known id
   * at another address is another replica. An empty list changes nothing: no answer can be given by nobody.
   */
  update(listed: readonly Listed[]): void {
    if (listed.length === 0) return;
    const ids = new Set(listed.map(({ id }) => id));
    for (const replica of this.replicas) if (!ids.has(replica.id)) this.#leave(replica);
    for (const entry of listed) this.#merge(entry);
    this.#listed = true;
  }

  #merge(listed: Listed): void {
    const known = this.get(listed.id);
    if (known?.url.origin === listed.url.origin) {
      known.healthy = listed.healthy;
      known.requestCount = Math.max(known.requestCount, listed.requestCount);
      this.#candidates.changed(known);
      this.#enlist(known);
      return;
    }
    if (known) this.#leave(known);
    this.#join(new Replica(listed));
  }

  #join(replica: Replica): void {
    this.#byId.set(replica.id, replica);
    const least = this.#candidates.least();
    // Those that the first listing names have worked before, for all we know.
    if (this.#listed && least) replica.credit = Math.max(0, least.share - replica.requestCount);
    this.#enlist(replica);
  }

  #leave(replica: Replica): void {
    this.#byId.delete(replica.id);
    this.#candidates.remove(replica);
    this.#onDeparted(replica);
    if (replica.inFlight === 0) this.#onIdle(replica);
  }

  /** The one place where a replica becomes a candidate or ceases to be one. */
  #enlist(replica: Replica): void {
    if (!replica.available) this.#candidates.remove(replica);
    else if (!this.#candidates.has(replica)) {
      const least = this.#candidates.least();
      this.#newcomer(replica, Math.max(0, (least?.load ?? 0) - replica.inFlight));
      this.#candidates.add(replica);
    }
  }
}
