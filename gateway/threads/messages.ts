import type { Settings } from '../../config/config.ts';
import type { Counted } from '../../lib/loadbalancer/choice/tally.ts';
import type { Registered } from '../../lib/loadbalancer/registry/registered.ts';
import type { LogFormat, LogLevel } from '../../lib/logging/logger.ts';
import type { Snapshot } from '../../lib/metrics/snapshots.ts';
import type { ResponseChange, Swap } from '../../lib/store/memory/threadsMemory.ts';
import type { SharedReplica } from '../wiring/replicas.ts';
import type { Buffers } from './shares.ts';

/** What a worker thread begins with. */
export interface WorkerStart {
  /** With the ports to listen on. */
  readonly settings: Settings;
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
  /** Workers are numbered for the log; the number of one that has ended is not used again. */
  readonly worker: number;
  readonly seat: number;
  readonly seats: number;
  /** Whether it takes the place of another: the start of the gateway is over. */
  readonly isReplacement: boolean;
  readonly buffers: Buffers;
  /** By path prefix of the service. */
  readonly replicas: ReadonlyMap<string, readonly SentReplica[]>;
  readonly discovered: boolean;
  readonly takesRegistryCalls: boolean;
  /** What all threads are called in news for other gateways. */
  readonly gatewayId: string;
  /** What threads of the embedded cache have agreed on so far. */
  readonly responses: readonly ResponseChange[];
}

/** A replica and the memory of what is shared of it. */
export interface SentReplica extends Omit<SharedReplica, 'url' | 'counts' | 'breaker'> {
  readonly href: string;
  readonly counts: SharedArrayBuffer;
  readonly breaker: SharedArrayBuffer;
}

/** What the main thread tells a worker. */
export type ToWorker =
  | { readonly kind: 'replicas'; readonly path: string; readonly replicas: readonly SentReplica[] }
  /** The registry has been asked once. */
  | { readonly kind: 'discovered' }
  | { readonly kind: 'response'; readonly change: ResponseChange }
  | { readonly kind: 'level'; readonly level: LogLevel }
  /** Ends, after its requests. */
  | { readonly kind: 'drain' };

/** What the main thread asks a worker: a `Snapshot` of its metrics. */
export type WorkerQuestion = { readonly kind: 'metrics' };

/** What a worker tells the main thread. */
export type FromWorker =
  | { readonly kind: 'listening'; readonly externalPort: number; readonly internalPort: number }
  /** It cannot begin, for a reason in plain words. */
  | { readonly kind: 'failed'; readonly message: string }
  /** An error that nobody caught: it takes no new requests and will end after those it has. */
  | { readonly kind: 'ending' }
  /** Its metrics as they are at its end. */
  | { readonly kind: 'last'; readonly metrics: Snapshot }
  /** Requests were sent to replicas, so many to each. */
  | { readonly kind: 'increments'; readonly counts: readonly Counted[] }
  | { readonly kind: 'deregister'; readonly replica: Registered }
  | { readonly kind: 'response'; readonly change: ResponseChange };

/** What a worker asks the main thread. */
export type MainQuestion =
  /** The metrics of all threads, as text. */
  | { readonly kind: 'scrape' }
  /** Counts one request; the answer is a `Verdict`. */
  | { readonly kind: 'rate'; readonly policy: 'address' | 'identity'; readonly key: string }
  /** The answer is `Swapped`. */
  | { readonly kind: 'swap'; readonly swap: Swap };
