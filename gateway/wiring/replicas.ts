import type { Service } from '../../config/sections/services.ts';
import { CircuitBreaker } from '../../lib/circuitbreaker/breaker.ts';
import { CircuitBreakers } from '../../lib/circuitbreaker/breakers.ts';
import type {
  Breaker,
  BreakerEvent,
  BreakerOptions,
  BreakerRules,
  BreakerState,
} from '../../lib/circuitbreaker/contract.ts';
import type { Clock } from '../../lib/clock/clock.ts';
import type { Admission, FailureKind } from '../../lib/exchange/attempt.ts';
import type { ReplicaIdentity } from '../../lib/loadbalancer/instance.ts';
import type { Listed } from '../../lib/loadbalancer/listed.ts';
import { ReplicaPool, type ReplicaPoolOptions } from '../../lib/loadbalancer/pool.ts';
import { Replica } from '../../lib/loadbalancer/replica.ts';
import type { CellsSize, Share, ShareOf } from '../../lib/threads/cells.ts';
import { SharedCircuitBreaker } from '../../lib/threads/circuitbreaker/sharedCircuitBreaker.ts';
import { LoadScan } from '../../lib/threads/loadbalancer/loadScan.ts';
import { ThreadsReplica } from '../../lib/threads/loadbalancer/threadsReplica.ts';
import type { BreakerSubject } from '../logs/breakerLog.ts';

/** A replica whose counts and breaker several threads share. */
export interface SharedReplica extends Listed {
  readonly id: string;
  readonly counts: Share;
  readonly breaker: Share;
  /** Whether a registry lists it, or only the settings do. */
  readonly listed: boolean;
}

/** For a gateway of several threads. */
export interface ReplicaThreads {
  readonly seats: number;
  /** Makes what threads can share. */
  readonly newShare: (size: CellsSize) => Share;
  /** The same for all threads: by its lock the service's breakers open one after the other. */
  readonly openings: Share;
  /** What another thread has begun already, in place of the settings' upstreams. */
  readonly replicas?: readonly SharedReplica[];
}

/** `ReplicaThreads.openings` of a service, as one of the threads sees them. */
export function openingsOf(path: string, shareOf: ShareOf): Share {
  return shareOf(`openings ${path}`, () => ({ whole: 0 }));
}

export interface ServiceReplicasOptions extends BreakerRules {
  readonly service: Service;
  readonly cooldownMs: number;
  readonly slowStartMs: number;
  readonly clock: Clock;
  readonly random: () => number;
  readonly threads?: ReplicaThreads | undefined;
  /** Something happened to a replica's breaker. */
  readonly onBreakerEvent: (event: BreakerEvent, subject: BreakerSubject) => void;
  /** A replica is no longer listed. */
  readonly onDeparted: (replica: Replica) => void;
  /** Nothing is under way any more at a replica that is no longer listed. */
  readonly onIdle: (replica: Replica) => void;
}

/** The replicas of one service, a breaker for each, and what the two have to tell each other. */
export class ServiceReplicas {
  readonly pool: ReplicaPool;
  readonly #breakers: CircuitBreakers;
  /** Where several threads share them. */
  readonly #breakerShares = new Map<string, Share>();
  readonly #threads: ReplicaThreads | undefined;
  readonly #service: Service;
  readonly #onBreakerEvent: ServiceReplicasOptions['onBreakerEvent'];
  readonly #onDeparted: ServiceReplicasOptions['onDeparted'];

  constructor(options: Readonly<ServiceReplicasOptions>) {
    const { service, threshold, ratio, windowMs, cooldownMs, slowStartMs, clock } = options;
    const { random, onIdle, threads } = options;
    this.#service = service;
    this.#threads = threads;
    this.#onBreakerEvent = options.onBreakerEvent;
    this.#onDeparted = options.onDeparted;
    this.#breakers = new CircuitBreakers((key) => {
      const onEvent = (event: BreakerEvent) => this.#breakerChanged(key, event);
      const onAdmission = (admission: Admission) => this.pool.admit(key, admission);
      const mayOpen = (failure: FailureKind) => this.#mayOpen(key, failure);
      const rules = { threshold, ratio, windowMs, cooldownMs };
      return this.#newBreaker(key, { ...rules, clock, mayOpen, onEvent, onAdmission });
    });
    for (const { key, breaker } of threads?.replicas ?? []) this.#breakerShares.set(key, breaker);
    const taken = new Set<string>();
    this.pool = new ReplicaPool({
      service: service.path,
      ...(threads
        ? sharedReplicas(service, threads, random)
        : { replicas: service.upstreams.map((origin) => Replica.at(origin, taken)) }),
      slowStartMs,
      clock,
      random,
      onDeparted: (replica) => this.#departed(replica),
      onIdle,
    });
  }

  /** For other threads: everyone listed, with what is to be shared. */
  get shared(): readonly SharedReplica[] {
    return this.pool.replicas.map((replica) => {
      const { key, id, url, registered, healthy, requestCount, counts, listed } = replica as ThreadsReplica;
      this.breakerOf(key);
      const breaker = this.#breakerShares.get(key) as Share;
      return { key, id, url, registered, healthy, requestCount, counts, listed, breaker };
    });
  }

  /** Whether the replicas have breakers. */
  get hasBreakers(): boolean {
    return this.#service.breaker;
  }

  /** The breaker of a replica. One that is asked after its replica has left is used for what is still under way. */
  breakerOf(key: string): Breaker {
    return this.#breakers.for(key);
  }

  /** Whether the replica's breaker stands in nobody's way. */
  isClosed(key: string): boolean {
    return this.breakerState(key) === 'closed';
  }

  /** How the replica's breaker is; one that was never needed is closed. */
  breakerState(key: string): BreakerState {
    return this.#usedBreaker(key)?.state ?? 'closed';
  }

  /** Whether any of them has given another caller a good response of late; who is another is told in `Breaker`. */
  hasServedAnother(caller: string, address: string): boolean {
    return this.pool.replicas.some(({ key }) => this.breakerOf(key).hasServedAnother(caller, address));
  }

  /** Which of these replicas is tried first again, and when. */
  nextTrial([first, ...others]: readonly [Replica, ...Replica[]]): {
    replica: Replica;
    retryAfterMs: number;
  } {
    let next = { replica: first, retryAfterMs: this.breakerOf(first.key).retryAfterMs };
    for (const replica of others) {
      const { retryAfterMs } = this.breakerOf(replica.key);
      if (retryAfterMs < next.retryAfterMs) next = { replica, retryAfterMs };
    }
    return next;
  }

  /** Takes over what the registry lists of this service, or what another thread says that it does. */
  update(listed: readonly (Listed & Partial<SharedReplica>)[]): void {
    const arriving = listed.filter(({ key }) => !this.pool.get(key));
    this.pool.update(listed.map((replica) => ({ ...replica, isCounted: replica.counts !== undefined })));
    for (const { key, breaker } of arriving) {
      const known = this.#breakers.get(key) && this.#breakerShares.get(key);
      if (!breaker || known?.cells.isSameAs(breaker.cells)) continue;
      this.#breakers.forget(key);
      this.#breakerShares.set(key, breaker);
    }
    // Who was tripped, left, and comes back before its cooldown is over, is still tripped.
    for (const { key } of listed) this.#breakers.get(key)?.tellAdmission();
    // Whose cooldown another thread has ended.
    for (const key of this.#breakers.keys) if (!this.pool.get(key)) this.#forgetUnlessOpen(key);
  }

  /** Takes back what a thread that has ended had under way, and takes over what it was to do. */
  leave(seat: number): void {
    this.#threads?.openings.cells.leave(seat);
    for (const replica of this.pool.replicas) if (replica instanceof ThreadsReplica) replica.leave(seat);
    this.pool.resumeSlowStarts();
    for (const breaker of this.#breakers.all) {
      if (breaker instanceof SharedCircuitBreaker) breaker.leave(seat);
    }
  }

  /** Ends the timers of all breakers, of those too whose replicas have left. */
  dispose(): void {
    this.#breakers.forgetAll();
  }

  #newBreaker(key: string, options: Readonly<BreakerOptions>): Breaker {
    if (!this.#threads) return new CircuitBreaker(options);
    const share =
      this.#breakerShares.get(key) ?? this.#threads.newShare(SharedCircuitBreaker.sizeFor(options.threshold));
    this.#breakerShares.set(key, share);
    return new SharedCircuitBreaker({ ...options, share, openings: this.#threads.openings.cells });
  }

  /**
   * At most half of several replicas are open for `bad` at a time: one that answers some requests is better than none,
   * and requests may be what is bad. Who is absent answers none, however many that are.
   */
  #mayOpen(key: string, failure: FailureKind): boolean {
    const { replicas } = this.pool;
    if (failure === 'absent' || replicas.length <= 1) return true;
    const others = replicas.filter(
      (other) => other.key !== key && this.#usedBreaker(other.key)?.failure === 'bad',
    );
    return others.length + 1 <= Math.floor(replicas.length / 2);
  }

  /** The replica's breaker, if it was ever used: another thread may have opened one that was never needed here. */
  #usedBreaker(key: string): Breaker | undefined {
    return this.#breakerShares.has(key) ? this.breakerOf(key) : this.#breakers.get(key);
  }

  #breakerChanged(key: string, event: BreakerEvent): void {
    const replica = this.pool.get(key);
    if (!replica) {
      this.#forgetUnlessOpen(key);
      return;
    }
    this.#onBreakerEvent(event, { service: this.#service.path, replica });
  }

  #departed(replica: Replica): void {
    this.#forgetUnlessOpen(replica.key);
    this.#onDeparted(replica);
  }

  /** An open breaker outlives its replica until its cooldown is over. */
  #forgetUnlessOpen(key: string): void {
    if (this.breakerState(key) === 'open') return;
    this.#breakers.forget(key);
    this.#breakerShares.delete(key);
  }
}

/** Replicas whose counts several threads share. */
function sharedReplicas(
  { upstreams }: Service,
  { seats, newShare, replicas }: ReplicaThreads,
  random: () => number,
): Pick<ReplicaPoolOptions, 'replicas' | 'newReplica' | 'candidates'> {
  const taken = new Set<string>();
  const newCounts = () => newShare(ThreadsReplica.sizeFor(seats));
  return {
    replicas:
      replicas?.map((replica) => new ThreadsReplica(replica, replica.counts)) ??
      upstreams.map((origin) => ThreadsReplica.at(origin, newCounts(), taken)),
    newReplica: (listed: ReplicaIdentity & Partial<SharedReplica>) =>
      new ThreadsReplica(listed, listed.counts ?? newCounts()),
    candidates: new LoadScan(random),
  };
}
