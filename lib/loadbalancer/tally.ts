/** How many requests a replica was sent. */
export interface Counted {
  readonly id: string;
  readonly count: number;
}

/** Counts by replica, of at most `maxReplicas`. */
export class Tally {
  readonly #maxReplicas: number;
  readonly #byId = new Map<string, { id: string; count: number }>();

  constructor(maxReplicas: number) {
    this.#maxReplicas = maxReplicas;
  }

  /** One more; what had to leave to make room for the replica, the one counted longest. */
  add(id: string): Counted | undefined {
    const known = this.#byId.get(id);
    if (known) {
      known.count += 1;
      return undefined;
    }
    this.#byId.set(id, { id, count: 1 });
    return this.#byId.size > this.#maxReplicas ? this.#takeOldest() : undefined;
  }

  forget(id: string): void {
    this.#byId.delete(id);
  }

  /** All counts; the tally begins anew. */
  take(): readonly Counted[] {
    const counts = [...this.#byId.values()];
    this.#byId.clear();
    return counts;
  }

  #takeOldest(): Counted | undefined {
    const [oldest] = this.#byId.values();
    if (oldest) this.#byId.delete(oldest.id);
    return oldest;
  }
}
