import type { Service } from '../config/services.ts';
import { type BreakerEvent, type BreakerState, CircuitBreaker } from '../lib/circuitbreaker/breaker.ts';
import { CircuitBreakers } from '../lib/circuitbreaker/breakers.ts';
import type { Clock } from '../lib/clock/clock.ts';
import { ReplicaPool } from '../lib/loadbalancer/pool.ts';
import { type Listed, Replica } from '../lib/loadbalancer/replica.ts';
import type { BreakerSubject } from './breakerLog.ts';

export interface ServiceReplicasOptions {
  readonly service: Service;
  readonly threshold: number;
  readonly windowMs: number;
  readonly cooldownMs: number;
  readonly slowStartMs: number;
  readonly clock: Clock;
  readonly random: () => number;
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
  readonly #service: Service;
  readonly #onBreakerEvent: ServiceReplicasOptions['onBreakerEvent'];
  readonly #onDeparted: ServiceReplicasOptions['onDeparted'];

  constructor(options: Readonly<ServiceReplicasOptions>) {
    const { service, threshold, windowMs, cooldownMs, slowStartMs, clock, random, onIdle } = options;
    this.#service = service;
    this.#onBreakerEvent = options.onBreakerEvent;
    this.#onDeparted = options.onDeparted;
    this.#breakers = new CircuitBreakers((id) => {
      const onEvent = (event: BreakerEvent) => this.#breakerChanged(id, event);
      const onAdmits = (admits: boolean) => this.pool.suspend(id, !admits);
      return new CircuitBreaker({ threshold, windowMs, cooldownMs, clock, onEvent, onAdmits });
    });
    this.pool = new ReplicaPool({
      service: service.path,
      replicas: service.upstreams.map((origin) => Replica.at(origin)),
      slowStartMs,
      clock,
      random,
      onDeparted: (replica) => this.#departed(replica),
      onIdle,
    });
  }

  /** The breaker of a replica. One that is asked after its replica has left is used for what is still under way. */
  breakerOf(replicaId: string): CircuitBreaker {
    return this.#breakers.for(replicaId);
  }

  /** How the replica's breaker is; one that was never needed is closed. */
  breakerState(replicaId: string): BreakerState {
    return this.#breakers.get(replicaId)?.state ?? 'closed';
  }

  /** Which of these replicas is tried first again, and when. */
  nextTrial([first, ...others]: readonly [Replica, ...Replica[]]): {
    replica: Replica;
    retryAfterMs: number;
  } {
    let next = { replica: first, retryAfterMs: this.breakerOf(first.id).retryAfterMs };
    for (const replica of others) {
      const { retryAfterMs } = this.breakerOf(replica.id);
      if (retryAfterMs < next.retryAfterMs) next = { replica, retryAfterMs };
    }
    return next;
  }

  /** Takes over what the registry lists of this service. */
  update(listed: readonly Listed[]): void {
    this.pool.update(listed);
    // Who was tripped, left, and comes back before its cooldown is over, is still tripped.
    for (const { id } of listed) {
      if (this.#breakers.get(id)?.admits === false) this.pool.suspend(id, true);
    }
  }

  /** Ends the timers of all breakers, of those too whose replicas have left. */
  dispose(): void {
    this.#breakers.forgetAll();
  }

  #breakerChanged(replicaId: string, event: BreakerEvent): void {
    const replica = this.pool.get(replicaId);
    if (!replica) {
      this.#forgetUnlessOpen(replicaId);
      return;
    }
    this.#onBreakerEvent(event, { service: this.#service.path, replicaId, origin: replica.url.origin });
  }

  #departed(replica: Replica): void {
    this.#forgetUnlessOpen(replica.id);
    this.#onDeparted(replica);
  }

  /** An open breaker outlives its replica until its cooldown is over. */
  #forgetUnlessOpen(replicaId: string): void {
    if (this.breakerState(replicaId) !== 'open') this.#breakers.forget(replicaId);
  }
}
