import type { StoreThreads } from '../../lib/store/embedded.ts';
import type { ShareOf } from '../../lib/threads/cells.ts';
import type { ListedService, Registry } from '../registries/contract.ts';
import type { CountRate } from '../wiring/rateLimits.ts';
import type { ReplicaThreads } from '../wiring/services/replicas.ts';
import type { ServingState } from './serving.ts';

/** What one of several threads of a gateway needs of the others. */
export interface Threads {
  readonly shareOf: ShareOf;
  /** The replicas known so far of the service with this path prefix. */
  replicasOf(path: string): ReplicaThreads;
  /** The registry client of the main thread, the only one of the process. */
  registry(services: readonly ListedService[]): Registry;
  readonly countRate: CountRate;
  /** For an embedded store. */
  readonly store: StoreThreads;
  /** The metrics of all threads. */
  scrape(): Promise<string>;
  /** Whether this thread replaces another, after the start of the gateway. */
  readonly isReplacement: boolean;
  /** How many threads take requests. */
  serving(): ServingState;
  /** Sets whether this thread takes requests. */
  serves(serving: boolean): void;
  /** Identifies all threads of this gateway in messages to other gateways. */
  readonly gatewayId: string;
  /** What all threads of this gateway know, and nobody else. */
  readonly secret: string;
}
