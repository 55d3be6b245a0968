import type { Breaker } from './contract.ts';

/** One breaker for each replica of a service, made on first use. */
export class CircuitBreakers<One extends Breaker = Breaker> {
  readonly #create: (replicaId: string) => One;
  readonly #byReplica = new Map<string, One>();

  constructor(create: (replicaId: string) => One) {
    this.#create = create;
  }

  /** Every breaker there is. */
  get all(): readonly One[] {
    return [...this.#byReplica.values()];
  }

  /** Of whom there is a breaker. */
  get ids(): readonly string[] {
    return [...this.#byReplica.keys()];
  }

  for(replicaId: string): One {
    const known = this.#byReplica.get(replicaId);
    if (known) return known;
    const breaker = this.#create(replicaId);
    this.#byReplica.set(replicaId, breaker);
    return breaker;
  }

  /** The replica's breaker, if it was ever used. */
  get(replicaId: string): One | undefined {
    return this.#byReplica.get(replicaId);
  }

  /** Drops the breaker of a replica that has left. */
  forget(replicaId: string): void {
    this.#byReplica.get(replicaId)?.dispose();
    this.#byReplica.delete(replicaId);
  }

  forgetAll(): void {
    for (const replicaId of this.ids) this.forget(replicaId);
  }
}
