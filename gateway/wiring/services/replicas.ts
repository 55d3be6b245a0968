import type { Service } from '../../../config/sections/services.ts';
import { CircuitBreaker } from '../../../lib/circuitbreaker/breaker.ts';
import { CircuitBreakers } from '../../../lib/circuitbreaker/breakers.ts';
import type {
  Breaker,
  BreakerEvent,
  BreakerOptions,
  BreakerRules,
  BreakerState,
} from '../../../lib/circuitbreaker/contract.ts';

import type { Clock } from '../../../lib/clock/clock.ts';
import type { Admission, FailureKind } from '../../../lib/exchange/attempt.ts';
import type { ServiceChecks } from '../../../lib/healthcheck/serviceChecks.ts';
import type { ReplicaIdentity } from '../../../lib/loadbalancer/instance.ts';
import type { Listed } from '../../../lib/loadbalancer/listed.ts';
import { ReplicaPool, type ReplicaPoolOptions } from '../../../lib/loadbalancer/pool.ts';
import { Replica } from '../../../lib/loadbalancer/replica.ts';
import type { CellsSize, Share, ShareOf } from '../../../lib/threads/cells.ts';
import { SharedCircuitBreaker } from '../../../lib/threads/circuitbreaker/sharedCircuitBreaker.ts';
import { LoadScan } from '../../../lib/threads/loadbalancer/loadScan.ts';
import { ThreadsReplica } from '../../../lib/threads/loadbalancer/threadsReplica.ts';
import type { NewChecks } from '../../health/replicaChecks.ts';
import type { BreakerSubject } from '../../logs/breakerLog.ts';

/** A replica whose counters and breaker several threads share. */
export interface SharedReplica extends Listed {
  readonly id: string;
  readonly counts: Share;
  readonly breaker: Share;
  /** Whether a registry lists it, or only the settings do. */
  readonly listed: boolean;
}

/** What the replicas of a service need when several threads share them. */
export interface ReplicaThreads {
  readonly threadCount: number;
  /** Allocates memory that threads can share. */
  readonly newShare: (size: CellsSize) => Share;
  /** One for all threads: under its lock the service's breakers open one at a time. */
  readonly openings: Share;
  /** Replicas that another thread knows already, in place of the settings' upstreams. */
  readonly replicas?: readonly SharedReplica[];
}

/** `ReplicaThreads.openings` of a service, for one of the threads. */
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
  /** Called with each event of a replica's breaker. */
  readonly onBreakerEvent: (event: BreakerEvent, subject: BreakerSubject) => void;
  /** Called when a replica is no longer listed. */
  readonly onDeparted: (replica: Replica) => void;
  /** Called when the last request at a replica that is no longer listed has ended. */
  readonly onIdle: (replica: Replica) => void;
}

/** The replicas of one service with a breaker for each, and the connection between the two. */
export class ServiceReplicas {
  readonly pool: ReplicaPool;
  readonly #breakers: CircuitBreakers;
  /** The shared replicas by key, when there are several threads. */
  readonly #breakerShares = new Map<string, Share>();
  readonly #threads: ReplicaThreads | undefined;
  readonly #service: Service;
  readonly #onBreakerEvent: ServiceReplicasOptions['onBreakerEvent'];
  readonly #onDeparted: ServiceReplicasOptions['onDeparted'];
  #checks: ServiceChecks | undefined;

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
      weights: service.weights,
      slowStartMs,
      clock,
      random,
      onDeparted: (replica) => this.#departed(replica),
      onIdle,
    });
  }

  /** Begins to check the health of the replicas, until `dispose`. Undefined: the service has no checks. */
  startChecks(newChecks: NewChecks | undefined): void {
    this.#checks = newChecks?.(this.pool);
    this.#checks?.start(this.pool.replicas);
  }

  /** All listed replicas with their shared memory, for other threads. */
  get shared(): readonly SharedReplica[] {
    return this.pool.replicas.map((replica) => {
      const { key, id, url, registered, healthy, requestCount, counts, listed, weight } =
        replica as ThreadsReplica;
      this.breakerOf(key);
      const breaker = this.#breakerShares.get(key) as Share;
      return { key, id, url, registered, healthy, requestCount, counts, listed, weight, breaker };
    });
  }

  /** Whether the replicas have breakers. */
  get hasBreakers(): boolean {
    return this.#service.breaker !== undefined;
  }

  /** The breaker of a replica. It also exists for a removed replica, whose last requests may still be under way. */
  breakerOf(key: string): Breaker {
    return this.#breakers.for(key);
  }

  /** Whether the replica's breaker is closed, so that it lets every call through. */
  isClosed(key: string): boolean {
    return this.breakerState(key) === 'closed';
  }

  /** The state of the replica's breaker; one that was never needed is closed. */
  breakerState(key: string): BreakerState {
    return this.#usedBreaker(key)?.state ?? 'closed';
  }

  /** Whether any replica has recently given another caller a good response. `Breaker` says who counts as another. */
  hasServedAnother(caller: string, address: string): boolean {
    return this.pool.replicas.some(({ key }) => this.breakerOf(key).hasServedAnother(caller, address));
  }

  /** Which of these replicas has its trial first, and when. */
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

  /** Takes over the registry's listing of this service, directly or from another thread. */
  update(listed: readonly (Listed & Partial<SharedReplica>)[]): void {
    const arriving = listed.filter(({ key }) => !this.pool.get(key));
    this.pool.update(listed.map((replica) => ({ ...replica, isCounted: replica.counts !== undefined })));
    for (const { key, breaker } of arriving) {
      const known = this.#breakers.get(key) && this.#breakerShares.get(key);
      if (!breaker || known?.cells.isSameAs(breaker.cells)) continue;
      this.#breakers.forget(key);
      this.#breakerShares.set(key, breaker);
    }
    // A replica that was removed with an open breaker and comes back before the cooldown is over still has that
    // breaker.
    for (const { key } of listed) this.#breakers.get(key)?.tellAdmission();
    // Another thread may have ended the cooldown meanwhile.
    for (const key of this.#breakers.keys) if (!this.pool.get(key)) this.#forgetUnlessOpen(key);
    this.#checks?.follow(this.pool.replicas);
  }

  /** Gives back what a thread that has ended had under way, and takes over its duties. */
  leave(threadNumber: number): void {
    this.#threads?.openings.cells.leave(threadNumber);
    for (const replica of this.pool.replicas)
      if (replica instanceof ThreadsReplica) replica.leave(threadNumber);
    this.pool.resumeSlowStarts();
    for (const breaker of this.#breakers.all) {
      if (breaker instanceof SharedCircuitBreaker) breaker.leave(threadNumber);
    }
  }

  /** Stops health checks and the timers of all breakers, including those of removed replicas. */
  dispose(): void {
    this.#checks?.stop();
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
   * Of several replicas at most half may be open because of `bad` failures: a replica that serves some requests is better than
   * none, and the requests may be the cause. An absent replica serves nobody, so absent ones do not count.
   */
  #mayOpen(key: string, failure: FailureKind): boolean {
    const { replicas } = this.pool;
    if (failure === 'absent' || replicas.length <= 1) return true;
    const others = replicas.filter(
      (other) => other.key !== key && this.#usedBreaker(other.key)?.failure === 'bad',
    );
    return others.length + 1 <= Math.floor(replicas.length / 2);
  }

  /** The replica's breaker, if it was ever used. Another thread may have opened one that this thread never needed. */
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

  /** An open breaker is kept after its replica was removed, until the cooldown is over. */
  #forgetUnlessOpen(key: string): void {
    if (this.breakerState(key) === 'open') return;
    this.#breakers.forget(key);
    this.#breakerShares.delete(key);
  }
}

/** The replicas with counters that several threads share. */
function sharedReplicas(
  { upstreams }: Service,
  { threadCount, newShare, replicas }: ReplicaThreads,
  random: () => number,
): Pick<ReplicaPoolOptions, 'replicas' | 'newReplica' | 'candidates'> {
  const taken = new Set<string>();
  const newCounts = () => newShare(ThreadsReplica.sizeFor(threadCount));
  return {
    replicas:
      replicas?.map((replica) => new ThreadsReplica(replica, replica.counts)) ??
      upstreams.map((origin) => ThreadsReplica.at(origin, newCounts(), taken)),
    newReplica: (listed: ReplicaIdentity & Partial<SharedReplica>) =>
      new ThreadsReplica(listed, listed.counts ?? newCounts()),
    candidates: new LoadScan(random),
  };
}
