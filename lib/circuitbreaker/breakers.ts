import type { Breaker } from './contract.ts';

/** One breaker for each replica of a service, made on first use. */
export class CircuitBreakers<One extends Breaker = Breaker> {
  readonly #create: (key: string) => One;
  readonly #byKey = new Map<string, One>();

  constructor(create: (key: string) => One) {
    this.#create = create;
  }

  /** All breakers. */
  get all(): readonly One[] {
    return [...this.#byKey.values()];
  }

  /** The replicas that have a breaker. */
  get keys(): readonly string[] {
    return [...this.#byKey.keys()];
  }

  for(key: string): One {
    const known = this.#byKey.get(key);
    if (known) return known;
    const breaker = this.#create(key);
    this.#byKey.set(key, breaker);
    return breaker;
  }

  /** The replica's breaker, if it was ever used. */
  get(key: string): One | undefined {
    return this.#byKey.get(key);
  }

  /** Drops the breaker of a replica that has left. */
  forget(key: string): void {
    this.#byKey.get(key)?.dispose();
    this.#byKey.delete(key);
  }

  forgetAll(): void {
    for (const key of this.keys) this.forget(key);
  }
}
