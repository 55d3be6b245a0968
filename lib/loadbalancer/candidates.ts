import type { Replica } from './replica.ts';

/**
 * Those listed of a service, and who of them is next: the available one with the fewest requests in flight, ties by the
 * lowest share, further ties at random.
 */
export interface Candidates {
  add(replica: Replica): void;
  remove(replica: Replica): void;
  /** To be called after the load or the availability of `replica` has changed in this thread. */
  changed(replica: Replica): void;
  /** The least loaded available one that is not `except`; `undefined` if there is none. */
  least(except?: Replica): Replica | undefined;
  /** The same, counted as taken. */
  take(except?: Replica): Replica | undefined;
}
