import type { Registered } from '../registry/registered.ts';

/** How many requests a replica was sent. */
export interface Counted {
  readonly replica: Registered;
  readonly count: number;
}

/** Counts the requests of at most `maxReplicas` replicas. */
export class Tally {
  readonly #maxReplicas: number;
  readonly #byTag = new Map<string, { replica: Registered; count: number }>();

  constructor(maxReplicas: number) {
    this.#maxReplicas = maxReplicas;
  }

  /** Counts one more. Returns the oldest count if it had to be dropped to make room for the replica. */
  add(replica: Registered): Counted | undefined {
    const known = this.#byTag.get(replica.tag);
    if (known) {
      known.count += 1;
      return undefined;
    }
    this.#byTag.set(replica.tag, { replica, count: 1 });
    return this.#byTag.size > this.#maxReplicas ? this.#takeOldest() : undefined;
  }

  forget({ tag }: Registered): void {
    this.#byTag.delete(tag);
  }

  /** Returns all counts and begins again. */
  take(): readonly Counted[] {
    const counts = [...this.#byTag.values()];
    this.#byTag.clear();
    return counts;
  }

  #takeOldest(): Counted | undefined {
    const [oldest] = this.#byTag.values();
    if (oldest) this.#byTag.delete(oldest.replica.tag);
    return oldest;
  }
}
