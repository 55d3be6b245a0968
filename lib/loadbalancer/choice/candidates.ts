import type { Replica } from '../replica.ts';
import { isPaced } from './load.ts';

/** Whether a request may go to this replica, as far as the request is concerned. */
export type Accepts = (replica: Replica) => boolean;

/**
 * The listed replicas of a service, and which of them is next: one that waits for a trial; otherwise the available one with
 * the least load; where weights differ, the one among equals that is due first; among equals the one whose latest request began longest ago; among those that have had no request from
 * this gateway, the one with the fewest requests in all. Further ties are settled at random.
 */
export interface Candidates {
  add(replica: Replica): void;
  remove(replica: Replica): void;
  /** To be called after this pool has changed the load or the availability of `replica`. */
  changed(replica: Replica): void;
  /** The next available one that `accepts`, by default any; `undefined` if there is none. */
  least(accepts?: Accepts): Replica | undefined;
  /** The same, and counts a request as under way there. */
  take(accepts?: Accepts): Replica | undefined;
  /** The same for this one alone: `undefined` if it is not available. */
  takeOne(replica: Replica): Replica | undefined;
  /** The same as `take` among the healthy ones that are not available. */
  takeSuspended(accepts: Accepts): Replica | undefined;
}

export function acceptsAll(): boolean {
  return true;
}

/** Below 0 when a request goes to `one` rather than to `another`; 0: it is a tie. */
export function compare(one: Rank, another: Rank): number {
  return (
    one.load - another.load ||
    one.due - another.due ||
    one.turn - another.turn ||
    one.requestCount - another.requestCount
  );
}

/** `due` is 0 for replicas that are not paced. */
export type Rank = Pick<Replica, 'load' | 'due' | 'turn' | 'requestCount'>;

/** The `due` by which a replica is compared. */
export function dueOf({ interval, due }: Replica): number {
  return isPaced(interval) ? due : 0;
}
