import type { Registered } from '../registry/registered.ts';

/** How many requests a replica was sent. */
export interface Counted {
  readonly replica: Registered;
  readonly count: number;
}

/** Counts by replica, of at most `maxReplicas`. */
export class Tally {
  readonly #maxReplicas: number;
  readonly #byTag = new Map<string, { replica: Registered; count: number }>();

  constructor(maxReplicas: number) {
    this.#maxReplicas = maxReplicas;
  }

  /** One more; what had to leave to make room for the replica, the one counted longest. */
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

  /** All counts; the tally begins anew. */
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
