import {
  type Accepts,
  acceptsAll,
  type Candidates,
  compare,
  dueOf,
} from '../../loadbalancer/choice/candidates.ts';
import { isPaced, loadOf, pace } from '../../loadbalancer/choice/load.ts';
import type { ThreadsReplica } from './threadsReplica.ts';

interface Looked {
  readonly replica: ThreadsReplica;
  /** As it was when it was looked at. */
  readonly inFlight: number;
  readonly load: number;
  readonly due: number;
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
  /** When the latest request was due, where weights differ. */
  #now = 0;

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

  takeOne(replica: ThreadsReplica): ThreadsReplica | undefined {
    if (!replica.available) return undefined;
    this.#pace(replica);
    replica.begin(this.#latestTurn + 1);
    return replica;
  }

  takeSuspended(accepts: Accepts): ThreadsReplica | undefined {
    return this.#take((replica) => replica.healthy && accepts(replica), false);
  }

  #take(accepts: Accepts, available: boolean): ThreadsReplica | undefined {
    for (let least = this.#look(accepts, available); least; least = this.#look(accepts, available)) {
      if (!least.replica.beginAt(least.inFlight, this.#latestTurn + 1)) continue;
      this.#pace(least.replica);
      return least.replica;
    }
    return undefined;
  }

  #pace(replica: ThreadsReplica): void {
    if (!isPaced(replica.interval)) return;
    this.#now = Math.max(this.#now, replica.due);
    replica.due = this.#now + pace(replica.interval, replica.startStepsLeft);
  }

  #look(accepts: Accepts, available = true): Looked | undefined {
    let least: Looked | undefined;
    let equals = 1;
    for (const replica of this.#replicas) {
      const { inFlight, turn, requestCount, startStepsLeft, admission, interval } = replica;
      this.#latestTurn = Math.max(this.#latestTurn, turn);
      const due = dueOf(replica);
      if (due > 0) this.#now = Math.max(this.#now, due - pace(interval, startStepsLeft));
      if (replica.available !== available) continue;
      const looked = {
        replica,
        inFlight,
        load: loadOf(inFlight, startStepsLeft, admission, interval),
        due,
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
