import type { StoreThreads } from '../../lib/store/embedded.ts';
import type { ShareOf } from '../../lib/threads/cells.ts';
import type { ListedService, Registry } from '../registries/contract.ts';
import type { CountRate } from '../wiring/rateLimits.ts';
import type { ReplicaThreads } from '../wiring/replicas.ts';
import type { ServingState } from './serving.ts';

/** What a gateway needs of its other threads when it is one of several. */
export interface Threads {
  readonly shareOf: ShareOf;
  /** The replicas that are known so far of the service with this path prefix. */
  replicasOf(path: string): ReplicaThreads;
  /** The one registry client of the process, which the main thread has. */
  registry(services: readonly ListedService[]): Registry;
  readonly countRate: CountRate;
  /** For an embedded store. */
  readonly store: StoreThreads;
  /** The metrics of all threads. */
  scrape(): Promise<string>;
  /** Whether this one takes the place of another: the start of the gateway is over. */
  readonly isReplacement: boolean;
  /** How many threads take requests. */
  serving(): ServingState;
  /** This one does from now on, or does not any more. */
  serves(serving: boolean): void;
  /** What all threads are called in news for other gateways. */
  readonly gatewayId: string;
}
