import type { CircuitBreaker } from './breaker.ts';

/** One breaker per replica, made on first use. */
export class CircuitBreakers {
  readonly #create: (replicaId: string) => CircuitBreaker;
  readonly #byReplica = new Map<string, CircuitBreaker>();

  constructor(create: (replicaId: string) => CircuitBreaker) {
    this.#create = create;
  }

  for(replicaId: string): CircuitBreaker {
    const known = this.#byReplica.get(replicaId);
    if (known) return known;
    const breaker = this.#create(replicaId);
    this.#byReplica.set(replicaId, breaker);
    return breaker;
  }

  /** Drops the breaker of a replica that has left. */
  forget(replicaId: string): void {
    this.#byReplica.delete(replicaId);
  }
}
