import type { CircuitBreaker } from './breaker.ts';

/** One breaker for each replica of a service, made on first use. */
export class CircuitBreakers {
  readonly #create: (replicaId: string) => CircuitBreaker;
  readonly #byReplica = new Map<string, CircuitBreaker>();

  constructor(create: (replicaId: string) => CircuitBreaker) {
    this.#create = create;
  }

  /** Of whom there is a breaker. */
  get ids(): readonly string[] {
    return [...this.#byReplica.keys()];
  }

  for(replicaId: string): CircuitBreaker {
    const known = this.#byReplica.get(replicaId);
    if (known) return known;
    const breaker = this.#create(replicaId);
    this.#byReplica.set(replicaId, breaker);
    return breaker;
  }

  /** The replica's breaker, if it was ever used. */
  get(replicaId: string): CircuitBreaker | undefined {
    return this.#byReplica.get(replicaId);
  }

  /** Drops the breaker of a replica that has left. */
  forget(replicaId: string): void {
    this.#byReplica.get(replicaId)?.dispose();
    this.#byReplica.delete(replicaId);
  }

  /** Every breaker takes over what a thread that has ended was to do. */
  leave(seat: number): void {
    for (const breaker of this.#byReplica.values()) breaker.leave(seat);
  }

  forgetAll(): void {
    for (const replicaId of this.ids) this.forget(replicaId);
  }
}
