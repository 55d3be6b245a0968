import type { ListedReplica } from './registry/listing.ts';

/** What a pool is told of a replica of its service. */
export interface Listed extends Omit<ListedReplica, 'name'> {
  /** Its name in metrics and logs, if it has one already. Default: it is given one. */
  readonly id?: string;
  /** False when only the settings list it. Default true. */
  readonly listed?: boolean;
  /** Whether another thread, which counts for all, has taken over health and request count already. Default false. */
  readonly isCounted?: boolean;
}
