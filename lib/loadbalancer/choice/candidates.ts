import type { Replica } from '../replica.ts';

/** Whether a request may go to this replica, as far as the request is concerned. */
export type Accepts = (replica: Replica) => boolean;

/**
 * Those listed of a service, and who of them is next: one that waits for a trial; else the available one with the least
 * load; of equals the one whose latest request began longest ago; of those that have had none here, the one with the
 * fewest requests in all; further ties fall at random.
 */
export interface Candidates {
  add(replica: Replica): void;
  remove(replica: Replica): void;
  /** To be called after the load or the availability of `replica` has changed in this thread. */
  changed(replica: Replica): void;
  /** The first available one that `accepts`, by default any; `undefined` if there is none. */
  least(accepts?: Accepts): Replica | undefined;
  /** The same, counted as taken. */
  take(accepts?: Accepts): Replica | undefined;
}

export function acceptsAll(): boolean {
  return true;
}

/** Below 0 when a request goes to `one` rather than to `another`; 0: it is a tie. */
export function compare(one: Rank, another: Rank): number {
  return one.load - another.load || one.turn - another.turn || one.requestCount - another.requestCount;
}

export type Rank = Pick<Replica, 'load' | 'turn' | 'requestCount'>;
