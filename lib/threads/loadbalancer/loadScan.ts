import { type Accepts, acceptsAll, type Candidates, compare } from '../../loadbalancer/choice/candidates.ts';
import { loadOf } from '../../loadbalancer/choice/load.ts';
import type { ThreadsReplica } from './threadsReplica.ts';

interface Looked {
  readonly replica: ThreadsReplica;
  /** As it was when it was looked at. */
  readonly inFlight: number;
  readonly load: number;
  readonly turn: number;
  readonly requestCount: number;
}

/**
 * Candidates whose load other threads change as well: each choice looks at all of them. When the load of the chosen one
 * has changed meanwhile, it looks again, so two threads never both take the same replica for idle.
 */
export class LoadScan implements Candidates {
  readonly #replicas = new Set<ThreadsReplica>();
  readonly #random: () => number;
  /** Of all at the last look. Two threads may give the one behind it to two replicas, which makes a tie. */
  #latestTurn = 0;

  constructor(random: () => number) {
    this.#random = random;
  }

  add(replica: ThreadsReplica): void {
    this.#replicas.add(replica);
  }

  remove(replica: ThreadsReplica): void {
    this.#replicas.delete(replica);
  }

  changed(): void {}

  least(accepts: Accepts = acceptsAll): ThreadsReplica | undefined {
    return this.#look(accepts)?.replica;
  }

  take(accepts: Accepts = acceptsAll): ThreadsReplica | undefined {
    return this.#take(accepts, true);
  }

  takeSuspended(accepts: Accepts): ThreadsReplica | undefined {
    return this.#take((replica) => replica.healthy && accepts(replica), false);
  }

  #take(accepts: Accepts, available: boolean): ThreadsReplica | undefined {
    for (let least = this.#look(accepts, available); least; least = this.#look(accepts, available)) {
      if (least.replica.beginAt(least.inFlight, this.#latestTurn + 1)) return least.replica;
    }
    return undefined;
  }

  #look(accepts: Accepts, available = true): Looked | undefined {
    let least: Looked | undefined;
    let equals = 1;
    for (const replica of this.#replicas) {
      const { inFlight, turn, requestCount, startStepsLeft, admission } = replica;
      this.#latestTurn = Math.max(this.#latestTurn, turn);
      if (replica.available !== available) continue;
      const looked = {
        replica,
        inFlight,
        load: loadOf(inFlight, startStepsLeft, admission),
        turn,
        requestCount,
      };
      const difference = least ? compare(looked, least) : -1;
      if (difference > 0 || !accepts(replica)) continue;
      equals = difference === 0 ? equals + 1 : 1;
      // Of so many equals each is kept equally often.
      if (equals === 1 || this.#random() * equals < 1) least = looked;
    }
    return least;
  }
}
