import type { Replica } from '../replica.ts';
import { type Accepts, acceptsAll, type Candidates, compare } from './candidates.ts';

interface Looked {
  readonly replica: Replica;
  /** As it was when it was looked at. */
  readonly inFlight: number;
  readonly load: number;
  readonly turn: number;
  readonly requestCount: number;
}

/**
 * Candidates whose load other threads change as well: each pick looks at all of them. When the load of the one that was
 * picked has changed meanwhile, it looks again, so two threads never take the last free one for free both.
 */
export class LoadScan implements Candidates {
  readonly #replicas = new Set<Replica>();
  readonly #random: () => number;
  /** Of all at the last look. Two threads may give the one behind it to two replicas, which makes a tie. */
  #latestTurn = 0;

  constructor(random: () => number) {
    this.#random = random;
  }

  add(replica: Replica): void {
    this.#replicas.add(replica);
  }

  remove(replica: Replica): void {
    this.#replicas.delete(replica);
  }

  changed(): void {}

  least(accepts: Accepts = acceptsAll): Replica | undefined {
    return this.#look(accepts)?.replica;
  }

  take(accepts: Accepts = acceptsAll): Replica | undefined {
    for (let least = this.#look(accepts); least; least = this.#look(accepts)) {
      if (least.replica.begin(least.inFlight, this.#latestTurn + 1)) return least.replica;
    }
    return undefined;
  }

  #look(accepts: Accepts): Looked | undefined {
    let least: Looked | undefined;
    let equals = 1;
    for (const replica of this.#replicas) {
      const { inFlight, turn, requestCount } = replica;
      this.#latestTurn = Math.max(this.#latestTurn, turn);
      if (!replica.available) continue;
      const looked = { replica, inFlight, load: replica.loadWith(inFlight), turn, requestCount };
      const difference = least ? compare(looked, least) : -1;
      if (difference > 0 || !accepts(replica)) continue;
      equals = difference === 0 ? equals + 1 : 1;
      // Of so many equals each is kept equally often.
      if (equals === 1 || this.#random() * equals < 1) least = looked;
    }
    return least;
  }
}
