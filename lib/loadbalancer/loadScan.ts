import type { Candidates } from './candidates.ts';
import type { Replica } from './replica.ts';

interface Least {
  readonly replica: Replica;
  /** As it was when it was looked at. */
  readonly inFlight: number;
  readonly load: number;
}

/**
 * Candidates whose load other threads change as well: each pick looks at all of them. When the load of the one that was
 * picked has changed meanwhile, it looks again, so two threads never take the last free one for free both.
 */
export class LoadScan implements Candidates {
  readonly #replicas = new Set<Replica>();
  readonly #random: () => number;

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

  least(except?: Replica): Replica | undefined {
    return this.#look(except)?.replica;
  }

  take(except?: Replica): Replica | undefined {
    for (let least = this.#look(except); least; least = this.#look(except)) {
      if (least.replica.begin(least.inFlight)) return least.replica;
    }
    return undefined;
  }

  #look(except: Replica | undefined): Least | undefined {
    let least: Least | undefined;
    let equals = 1;
    for (const replica of this.#replicas) {
      if (replica === except || !replica.available) continue;
      const { inFlight } = replica;
      const looked = { replica, inFlight, load: inFlight + replica.handicap };
      const difference = least ? compare(looked, least) : -1;
      if (difference > 0) continue;
      equals = difference === 0 ? equals + 1 : 1;
      // Of so many equals each is kept equally often.
      if (equals === 1 || this.#random() * equals < 1) least = looked;
    }
    return least;
  }
}

function compare(one: Least, another: Least): number {
  return one.load - another.load || one.replica.share - another.replica.share;
}
