import { type Clock, systemClock } from '../clock/clock.ts';
import type { Admission } from '../exchange/attempt.ts';
import { listener } from '../util/listener.ts';
import type { Accepts, Candidates } from './choice/candidates.ts';
import { LoadHeap } from './choice/loadHeap.ts';
import { slowStart } from './choice/slowStart.ts';
import { weigh } from './choice/weights.ts';
import { instanceName, type ReplicaIdentity } from './instance.ts';
import type { Listed } from './listed.ts';
import { Replica } from './replica.ts';

export interface ReplicaPoolOptions {
  /** Path prefix of the service, for errors. */
  readonly service: string;
  /** The replicas until a registry lists others. */
  readonly replicas: readonly Replica[];
  /** How long a new replica takes to get its full part of the load; 0 (the default) is at once. */
  readonly slowStartMs?: number;
  /** Parts of the requests by origin, where no registry says any: `http://a:8087`. Default: 1. */
  readonly weights?: Readonly<Record<string, number>>;
  /** Makes a replica that is new in the list. Default: a `Replica`. */
  readonly newReplica?: (listed: Listed & ReplicaIdentity) => Replica;
  /** Says which of the replicas is next. Default: a `LoadHeap`. */
  readonly candidates?: Candidates;
  readonly clock?: Clock;
  readonly random?: () => number;
  /** A replica has left the list. Requests may still be under way there. */
  readonly onDeparted?: (replica: Replica) => void;
  /** The last request at a replica that has left the list is over. */
  readonly onIdle?: (replica: Replica) => void;
}

/** The replicas of one service, and the choice of the one that gets the next request. */
export class ReplicaPool {
  readonly service: string;
  readonly #byKey = new Map<string, Replica>();
  /** What the replicas are called. */
  readonly #names = new Set<string>();
  readonly #candidates: Candidates;
  readonly #newReplica: (listed: Listed & ReplicaIdentity) => Replica;
  readonly #startSlowly: (replica: Replica, stepsLeft?: number) => void;
  readonly #weights: Readonly<Record<string, number>>;
  readonly #onDeparted: (replica: Replica) => void;
  readonly #onIdle: (replica: Replica) => void;
  #listed = false;

  constructor(options: Readonly<ReplicaPoolOptions>) {
    const { service, replicas, slowStartMs = 0, clock = systemClock, random = Math.random } = options;
    this.service = service;
    this.#newReplica = options.newReplica ?? ((listed) => new Replica(listed));
    this.#candidates = options.candidates ?? new LoadHeap(random);
    this.#startSlowly = slowStart(slowStartMs, clock, (replica) => this.#candidates.changed(replica));
    this.#onDeparted = listener(options.onDeparted);
    this.#onIdle = listener(options.onIdle);
    this.#weights = options.weights ?? {};
    for (const replica of replicas) {
      if (!replica.listed) replica.weight = this.#weights[replica.url.origin] ?? replica.weight;
      this.#enlist(replica);
    }
    this.#weigh();
  }

  /** All that are listed, available or not. */
  get replicas(): readonly Replica[] {
    return [...this.#byKey.values()];
  }

  /** How many are listed, available or not. */
  get size(): number {
    return this.#byKey.size;
  }

  get(key: string): Replica | undefined {
    return this.#byKey.get(key);
  }

  /** Whether another replica than `except` has responded to somebody since. */
  hasResponded(sinceMs: number, except: Replica): boolean {
    for (const replica of this.#byKey.values()) {
      if (replica !== except && replica.heardAtMs > sinceMs) return true;
    }
    return false;
  }

  /**
   * Chooses the replica for the next request and counts the request as under way there. Returns `undefined` when no
   * available replica `accepts` it. Default: each does.
   */
  take(accepts?: Accepts): Replica | undefined {
    return this.#candidates.take(accepts);
  }

  /** The same for one replica alone: `undefined` if it is not available. */
  takeOne(replica: Replica): Replica | undefined {
    return this.#candidates.takeOne(replica);
  }

  /** The same as `take` for a request that has failed once: it is no trial as long as there is any other replica. */
  takeAnother(accepts: Accepts): Replica | undefined {
    return this.#candidates.take(untried(accepts)) ?? this.#candidates.take(accepts);
  }

  /** The same for a request that breakers do not keep away: if no replica is available, a healthy one all the same. */
  takeAnyway(accepts: Accepts): Replica | undefined {
    return this.takeAnother(accepts) ?? this.#candidates.takeSuspended(accepts);
  }

  /** The replica that `takeAnother` would choose now. */
  another(accepts: Accepts): Replica | undefined {
    return this.#candidates.least(untried(accepts)) ?? this.#candidates.least(accepts);
  }

  /** Ends what `take` began. To be called once for each replica taken. */
  release(replica: Replica): void {
    replica.end();
    this.#candidates.changed(replica);
    if (replica.isIdle && this.get(replica.key) !== replica) this.#onIdle(replica);
  }

  /** Lets all new requests through to a replica, one as a trial, or none. What is under way goes on. */
  admit(key: string, admission: Admission): void {
    const replica = this.get(key);
    if (!replica) return;
    this.#change(replica, () => {
      replica.admission = admission;
    });
  }

  /** Lets new requests through to a replica as far as health checks are concerned, or none. What is under way goes on. */
  letThrough(key: string, passes: boolean): void {
    const replica = this.get(key);
    if (!replica || replica.passesChecks === passes) return;
    this.#change(replica, () => {
      replica.passesChecks = passes;
    });
  }

  /** Goes on with slow starts that were begun elsewhere, by somebody who no longer can. */
  resumeSlowStarts(): void {
    for (const replica of this.replicas) {
      if (replica.startStepsLeft > 0) this.#startSlowly(replica, replica.startStepsLeft);
    }
  }

  /**
   * Takes over what a registry lists. A replica that is known by host and port keeps its name, what is under way there
   * and the larger request count, whatever id it has now. An empty list changes nothing, because without replicas nobody
   * could respond.
   */
  update(listed: readonly Listed[]): void {
    if (listed.length === 0) return;
    const keys = new Set(listed.map(({ key }) => key));
    for (const replica of this.replicas) if (!keys.has(replica.key)) this.#leave(replica);
    for (const entry of listed) this.#merge(entry);
    this.#weigh();
    this.#listed = true;
  }

  #merge(listed: Listed): void {
    const known = this.get(listed.key);
    if (!known) {
      this.#join(listed);
      return;
    }
    known.registered = listed.registered;
    known.listed = listed.listed ?? true;
    known.weight = this.#weightOf(listed);
    if (listed.isCounted) return;
    this.#change(known, () => {
      known.listedHealthy = listed.healthy;
      known.raiseRequestCount(listed.requestCount);
    });
  }

  #join(listed: Listed): void {
    const { id = instanceName(listed, this.#names), listed: isListed = true } = listed;
    const replica = this.#newReplica({ ...listed, id, listed: isListed });
    replica.weight = this.#weightOf(listed);
    if (!listed.isCounted) this.#begin(replica, listed);
    this.#enlist(replica);
  }

  #begin(replica: Replica, { healthy, requestCount }: Listed): void {
    replica.listedHealthy = healthy;
    replica.raiseRequestCount(requestCount);
    // The replicas of the first listing have probably worked before.
    if (this.#listed && isInService(replica)) this.#startSlowly(replica);
  }

  #enlist(replica: Replica): void {
    this.#byKey.set(replica.key, replica);
    this.#names.add(replica.id);
    this.#candidates.add(replica);
  }

  #weightOf({ url, weight = this.#weights[url.origin] ?? 1 }: Pick<Listed, 'url' | 'weight'>): number {
    return weight;
  }

  /** To be called when replicas or weights have changed. */
  #weigh(): void {
    weigh(this.replicas, (replica) => this.#candidates.changed(replica));
  }

  #leave(replica: Replica): void {
    this.#byKey.delete(replica.key);
    this.#names.delete(replica.id);
    this.#candidates.remove(replica);
    this.#onDeparted(replica);
    if (replica.isIdle) this.#onIdle(replica);
  }

  /** The one place where a replica that is listed becomes available or ceases to be. */
  #change(replica: Replica, apply: () => void): void {
    const wasInService = isInService(replica);
    apply();
    if (isInService(replica) && !wasInService) this.#startSlowly(replica);
    this.#candidates.changed(replica);
  }
}

function isInService({ healthy, admission }: Replica): boolean {
  return healthy && admission === 'all';
}

/** Accepts none that waits for a trial. */
function untried(accepts: Accepts): Accepts {
  return (replica) => replica.admission !== 'trial' && accepts(replica);
}
